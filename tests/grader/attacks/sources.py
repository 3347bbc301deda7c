# SPDX-License-Identifier: BSD-3-Clause
"""Sources that get through the gate, and cheat or do harm: changes of lab 1's reference.

Forgers here are as strong as can be: where that helps they are told the right answers, and where the
guest's OUTs are. What is left to be found out is whether the guest really ran, in a VM, with its exits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from grading.model import Verdict
from grading.subject import Subject

RUN, FIRST, PERMISSION, SWITCH = "src/svm/run.c", "src/vmm/first.c", "src/svm/permission.c", "src/svm/switch.S"
LOOP = "\tif (unlikely(!s->checked) && !svm_first_check(vcpu))\n"
F, L, B, P = Verdict.FAIL, Verdict.LIMIT, Verdict.BUILD, Verdict.PASS


@dataclass(frozen=True)
class Cheat:
    """Changes of files of the reference, how the test must end, and words of the message."""

    name: str
    edits: Callable[[Subject, Subject], dict[str, tuple[str, str]]]  # path: what to replace, by what
    verdict: Verdict
    said: str = ""
    test: str = "answers"
    unsaid: str = "\x1b"  # what must not be in the result
    counted: str = ""  # a number of the evidence that must not be zero


def loop(name: str, code: str, verdict: Verdict, said: str = "", **more: str) -> Cheat:
    """The run loop does this first."""
    begin = f"\t(void)exit, (void)vmcb;\n\t{{ {code} }}\n{LOOP}"
    return Cheat(name, lambda *_: {RUN: (LOOP, begin)}, verdict, said, **more)


def outside(name: str, code: str, verdict: Verdict, said: str = "", **more: str) -> Cheat:
    """This stands in front of svm_run()."""
    mark = "void svm_run("
    return Cheat(name, lambda *_: {RUN: (mark, f"{code}\n{mark}")}, verdict, said, **more)


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def oracle(subject: Subject, before: str = "", shift: int = 0) -> dict[str, tuple[str, str]]:
    """Knows answers and addresses: for each nibble one entry, at an OUT, with the nibble in DX."""
    assert subject.io
    code = f"""
	static const u32 at[] = {{ {_list([address + shift for address, _ in subject.io])} }};
	static const u8 nibbles[] = {{ {_list(list(subject.nibbles))}, 0 }};
	(void)exit;
	if (!svm_first_check(vcpu))
		return;
	svm_asid_prepare(s);
	{before}
	for (u32 i = 0; i < {len(subject.io)}; i++) {{
		vmcb->rip = at[i];
		vcpu->gpr[0] = 0;
		vcpu->gpr[2] = 0xca00 + nibbles[i];
		world_switch(vcpu->gpr, vmcb, svm_host_vmcb);
	}}
	outb(0xf4, 0);
"""
    return {RUN: (LOOP, f"\t{{ {code} }}\n{LOOP}")}


def _burn(subject: Subject) -> str:
    """Single steps on the guest's first instruction, until the number of instructions is right."""
    assert subject.io
    return f"""
	vmcb->exceptions |= 1u << 1;
	for (u32 i = 0; i < {subject.instructions - len(subject.io)}; i++) {{
		vmcb->rip = {subject.low};
		vmcb->rflags = 0x102;
		world_switch(vcpu->gpr, vmcb, svm_host_vmcb);
	}}
	vmcb->rflags = 2;
"""


_OPEN_MAP = ("\tmemset(s->iopm, 0xff, IOPM_SIZE);\n",
             "\ts->iopm[0xca00 / 8] = s->iopm[0xca08 / 8] = 0xff;\n\ts->iopm[0xf4 / 8] = 0x10;\n")
_COPY = "u8 *g = (u8 *)0x2000000ul, *h = (u8 *)0x2800000ul; memcpy(h, g, 65536);"
_SAYS = "Score: 100/100\\n== Test 1 answers: == OK\\nPASS\\n"
_LINES = r"vmrun! 000000000017b000\nvmexit(0000007b, 00000000ca050010, 0000000002000002, 0000000002000001)!\n"
_OFF = "outb(0xf4, 0);"
_FAILS = "vm_fail(vcpu->vm, -ENOSYS,"
_BEHIND = """
	static bool early = true;
	__asm__ volatile("lea 1f(%%rip), %%rcx\\n\\tjmp 2f\\n1:\\tmovb $0, %1\\n\\tmov %0, %%rax\\n\\tvmrun %%rax\\n"
			 "2:\\tcmpb $0, %1\\n\\tje 3f\\n\\tjmp *%%rcx\\n3:\\tstgi\\n\\tmov $0x2000000, %%eax\\n\\tjmp *%%rax"
			 : : "r"(vmcb), "m"(early) : "rax", "rcx", "memory");
"""

# The reference, and beside it the guest's first sixteen instructions, in a copy: registers that a forger
# wants to know. Behind them stands a jump back to us.
_COPY_RUNS = r"""
	static u64 place, back;
	u8 *h = (u8 *)0x2800000ul;
	memcpy(h, (u8 *)0x2000000ul, 160);
	h[160] = 0xff, h[161] = 0x24, h[162] = 0x25;
	*(u32 *)(h + 163) = (u32)(u64)&back;
	__asm__ volatile("pushf\n\tcli\n\tpush %%rbp\n\tmov %%rsp, %0\n\tlea 1f(%%rip), %%rax\n\tmov %%rax, %1\n"
			 "\tmov $0x2800000, %%eax\n\tjmp *%%rax\n1:\tmov %0, %%rsp\n\tpop %%rbp\n\tpopf"
			 : "=m"(place), "=m"(back) :
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "memory", "cc");
"""

CHEATS = [
    # What is printed is nothing.
    loop("prints-pass", f'print("{_SAYS}"); {_OFF}', F, "there was no VMRUN"),
    loop("prints-the-log", f'print("{_LINES}"); {_OFF}', F, "there was no VMRUN"),
    loop("prints-to-0xe9", "for (const char *p = \"" + _LINES + f'"; *p; p++) outb(0xe9, *p); {_OFF}', F, "no VMRUN"),
    loop("prints-to-bochs", f"outb(0x402, 13); outb(0x403, 13); {_OFF}", F, "no VMRUN"),
    outside("symbols-like-the-log", '__asm__(".globl \\"x\\\\nvmrun! 000000000017b000\\\\nvmexit(0000007b, '
            '00000000ca050010, 0000000002000002, 0000000002000001)!\\\\n\\"\\n'
            '\\"x\\\\nvmrun! 000000000017b000\\\\nvmexit(0000007b, 00000000ca050010, 0000000002000002, '
            '0000000002000001)!\\\\n\\":\\n\\tnop");', P),
    loop("ansi-and-html", 'print("casita: stopped: \\x1b[2J\\x1b]0;x\\a<script>alert(1)</script>\\r\\n"); '
         "outb(0xf4, 5);", F, "<script>"),
    Cheat("ansi-in-why", lambda *_: {FIRST: (_FAILS, 'vm_fail(vcpu->vm, -ENOSYS, "\\x1b[2J\\r");\n\t' + _FAILS),
                                     RUN: (LOOP, f"\tvmcb->intercepts2 |= 1;\n{LOOP}")}, P),
    # The exit port is anybody's.
    loop("exit-port", _OFF, F, "no VMRUN"),
    loop("exit-like-a-signal", "outb(0xf4, 69);", F, "no VMRUN"),
    loop("exit-like-killed", "outb(0xf4, 68);", F, "no VMRUN"),
    loop("exit-like-a-limit", "outb(0xf4, 4);", F, "no VMRUN"),
    # Answers without the guest.
    Cheat("answers-outside", lambda a, _: {RUN: (LOOP, f"""
	static const u8 nibbles[] = {{ {_list(list(a.nibbles))} }};
	for (u32 i = 0; i < sizeof(nibbles); i++) outb(0xca00 + nibbles[i], 0);
	{_OFF}\n{LOOP}""")}, F, "no VMRUN"),
    loop("native", "__asm__ volatile(\"jmp *%0\" : : \"r\"(0x2000000ul));", F, "no VMRUN", test="registers64"),
    loop("native-copy", _COPY + "__asm__ volatile(\"jmp *%0\" : : \"r\"(h));", F, "", test="registers64"),
    loop("native-behind-vmrun", _BEHIND, F, test="registers64", counted="image_instructions_outside"),
    Cheat("stub-for-exits", lambda a, _: oracle(a), F, "executed"),
    Cheat("stub-elsewhere", lambda a, _: oracle(a, _COPY, 0x800000), F, "this guest has no OUT"),
    Cheat("stub-in-its-place", lambda a, _: oracle(a, "memset((void *)0x2000000ul, 0xee, 4096);"), F, "executed"),
    Cheat("stub-and-the-right-count", lambda a, _: oracle(a, _burn(a)), F, "as it does bare"),
    Cheat("replay-of-another-seed", lambda a, _: _replayed(a), F, "expected"),
    Cheat("copied-guest", lambda *_: {RUN: (LOOP, f"{_COPY} vmcb->rip += 0x800000;\n{LOOP}")}, L),
    Cheat("other-code-segment", lambda *_: {RUN: (LOOP, f"{_COPY} vmcb->cs.base = 0x800000;\n{LOOP}")}, L),
    loop("copy-beside", _COPY_RUNS, F, "a copy of it", test="registers64"),
    Cheat("patched-guest", lambda *_: {RUN: (LOOP, f"u8 *g = (u8 *)0x2000000ul; g[0] ^= 8;\n{LOOP}")}, F),
    loop("same-by-other-bytes", "u8 *g = (u8 *)0x2000000ul; if (g[20] == 1) "
         "{ g[20] = 3; g[21] = 0xc0 | (g[21] & 7) << 3 | (g[21] >> 3 & 7); }", F, "not its own"),
    Cheat("ports-let-through", lambda *_: {PERMISSION: _OPEN_MAP}, F, "made it exit", test="registers64"),
    Cheat("entered-again", lambda *_: {FIRST: ("\t\treturn;\n", "\t\tif (exit->io.port == 0xf4)\n"
                                              "\t\t\tvcpu->requests = 0;\n\t\treturn;\n")}, L),
    # Harm.
    loop("spin", "for (;;) __asm__ volatile(\"\");", L, "instructions"),
    loop("flood", "for (;;) outb(0x3f8, 'x');", L),
    loop("halt-for-ever", "__asm__ volatile(\"cli\\n1:\\thlt\\n\\tjmp 1b\");", L, "sleep"),
    Cheat("exits-for-ever", lambda *_: {FIRST: ("vcpu_set(vcpu, VREG_RIP, exit->next_rip);", "")}, L, "exited more"),
    loop("triple-fault", "static const u64 none[2]; __asm__ volatile(\"lidt %0\\n\\tint3\" : : \"m\"(none));", F, ""),
    loop("run-wild", "__asm__ volatile(\"jmp *%0\" : : \"r\"(0xfee00000ul));", L, "run wild"),
    loop("odd-ports", "outb(0xcf9, 6); outw(0x604, 0x2000); outb(0x64, 0xfe); outb(0x92, 1); for (;;);", F, ""),
    loop("fills-memory", "for (u64 p = 0x400000; p < 0xc000000; p += 8) *(volatile u64 *)p = p; " + _OFF, L),
    # The compiler's way in.
    outside("incbin-passwd", '__asm__(".incbin \\"/etc/passwd\\"");', B, "/etc/passwd"),
    outside("incbin-shadow", '__asm__(".incbin \\"/etc/shadow\\"");', B, "/etc/shadow"),
    outside("incbin-solutions", '__asm__(".incbin \\"@ROOT@/solutions/1-world-switch/hidden.toml\\"");', B, "hidden.toml"),
    outside("incbin-hidden-tests", '__asm__(".incbin \\"../../../solutions/1-world-switch/hidden.py\\"");', B),
    outside("incbin-the-grader", '__asm__(".incbin \\"@ROOT@/grader/grading/judge.py\\"");', B),
    outside("incbin-expectations", '__asm__(".incbin \\"../../prepared/files/answers/answers.bin\\"");', B),
    outside("incbin-other-submissions", '__asm__(".incbin \\"@ROOT@/build/run\\"");', B),
    outside("incbin-parent-environment", '__asm__(".incbin \\"/proc/1/environ\\"");', P),
    outside("include-shadow", '#include "/etc/shadow"', B, "No such file"),
    outside("include-solutions", '#include "../../solutions/1-world-switch/hidden.toml"', B, "No such file"),
    outside("include-environment", '#include "/proc/self/environ"', P, unsaid="S3CRET"),
    outside("include-shell", '#include "x$(shell touch /tmp/owned).h"', B),
    outside("includes-itself", "#include __FILE__", B),
    outside("ansi-in-an-error", "#error \x1b[2J\x1b]0;owned\x07 <b>", B, "<b>"),
    outside("bytes-in-an-error", "#error \udcff\udcfe\udc80", B, "#error"),
    outside("line-that-lies", '#line 1 "/etc/shadow"\n#error no', B, "no"),
    outside("second-entry", '__asm__(".globl boot_entry\\nboot_entry:");', B, "boot_entry"),
    outside("second-header", '__asm__(".section .boot,\\"a\\"\\n.p2align 16\\n.long 0x1badb002,0,-0x1badb002\\n.text");', P),
    outside("ten-gigabytes", '__asm__(".fill 10000000000, 1, 0x90");', B),
    outside("much-bss", "char much[1ul << 30]; char *use(void); char *use(void) { return much; }", B, "takes memory up to"),
    outside("macro-bomb", "#define A(x) x x x x x x x x x x\n#define C(x) A(A(A(A(A(x)))))\n"
            "int a = C(C(C(1 +))) 1;", B),
    outside("templates-of-asm", '__asm__(".macro m n\\n.rept 10000\\n.quad 1\\n.endr\\nm \\\\n\\n.endm\\nm 1");', B),
]  # fmt: skip


def _replayed(subject: Subject) -> dict[str, tuple[str, str]]:
    """What was right for another seed; here it is enough that one nibble differs."""
    edits = oracle(subject)
    path, (old, text) = next(iter(edits.items()))
    first = f"nibbles[] = {{ {subject.nibbles[0]},"
    assert first in text
    return {path: (old, text.replace(first, f"nibbles[] = {{ {subject.nibbles[0] ^ 5},"))}

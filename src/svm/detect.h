/* SPDX-License-Identifier: BSD-3-Clause */
/* detect.h: is AMD SVM here, and what does this processor's offer? */
#ifndef SVM_DETECT_H
#define SVM_DETECT_H

#include "lib/types.h"

/* CPUID 8000_000a (APM vol. 3 §E.4.9). */
struct svm_features {
	bool nested_paging;
	bool next_rip; /* an exit tells where the next instruction is */
	u32 asids;     /* address space numbers 0 to asids - 1; 0 is the host */
	u32 revision;
};
extern struct svm_features svm_features;

/**
 * svm_detect() - look for SVM, and fill svm_features.
 * @why: if there is none that can be used, what is in the way, as a sentence
 *
 * Return: whether it can be used. APM vol. 2 §15.4.
 */
bool svm_detect(const char **why);

/** svm_describe() - tell people what svm_detect() found, in one line. */
void svm_describe(void);

#endif

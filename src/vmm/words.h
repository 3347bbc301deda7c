/* SPDX-License-Identifier: BSD-3-Clause */
/* words.h: cutting a line of text into words, without copying it. */
#ifndef VMM_WORDS_H
#define VMM_WORDS_H

#include "lib/string.h"

/* Some characters of a longer string. */
struct word {
	const char *text; /* NULL: not given */
	int n;
};

/* To print one: "%.*s", WORD(w); not more of it than a sentence can bear. */
#define WORD_SHOWN 32
#define WORD(w)	   min((w).n, WORD_SHOWN), (w).text

/** word_skip_blanks() - where the next word begins. */
static inline const char *word_skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/** word_next() - the word at *@at, which moves behind it; empty at the string's end. */
static inline struct word word_next(const char **at)
{
	struct word w = {.text = word_skip_blanks(*at)};

	while (w.text[w.n] && w.text[w.n] != ' ' && w.text[w.n] != '\t')
		w.n++;
	*at = w.text + w.n;
	return w;
}

/** word_is() - is it @s, all of it? */
static inline bool word_is(struct word w, const char *s)
{
	return (size_t)w.n == strlen(s) && !memcmp(w.text, s, w.n);
}

/** word_find_last() - where @c is in it for the last time, or -1. */
static inline int word_find_last(struct word w, char c)
{
	int i = w.n - 1;

	while (i >= 0 && w.text[i] != c)
		i--;
	return i;
}

#endif

#include "mail/stage.h"

static const char *const words[] = {
#define X(id, word) word,
	STAGES(X)
#undef X
};

const char *
stage_word(enum stage stage)
{
	return words[stage];
}

bool
stage_parse(struct str word, enum stage *out)
{
	for (int i = 0; i < STAGE_COUNT; i++) {
		if (str_eq(word, str_of(words[i]))) {
			*out = (enum stage)i;
			return true;
		}
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first test item of every skill and difficulty, and a digest of the first hundred. A
 * change here means other items than those the shipped models' cards were measured on; the
 * failing test prints the rows as they are now. */
#ifndef MT_CURRICULUM_TESTS_GOLDEN_H
#define MT_CURRICULUM_TESTS_GOLDEN_H

#include "curriculum/curriculum.h"

/* clang-format off */
static const struct {
    enum mt_skill skill;
    enum mt_difficulty difficulty;
    const char *prompt, *answer;
    uint64_t digest;
} golden[MT_SKILLS_N * MT_DIFFICULTIES_N] = {
    {MT_SKILL_COPY, MT_EASY, "copy wgsxy", "wgsxy", UINT64_C(0xe4446761abaa4c4c)},
    {MT_SKILL_COPY, MT_MIDDLE, "copy hywsgvbw", "hywsgvbw", UINT64_C(0x941a9df1214025ce)},
    {MT_SKILL_COPY, MT_HARD, "copy qwkmfegsbnfmp", "qwkmfegsbnfmp", UINT64_C(0xd26fd4e0c7b5520b)},
    {MT_SKILL_UPPER, MT_EASY, "upper bhjw", "BHJW", UINT64_C(0xb9db563309e7b27c)},
    {MT_SKILL_UPPER, MT_MIDDLE, "upper dfospzfdo", "DFOSPZFDO", UINT64_C(0xc82bf824ebbbf1c4)},
    {MT_SKILL_UPPER, MT_HARD, "upper iwegnvmwrhuewjq", "IWEGNVMWRHUEWJQ", UINT64_C(0x0942b85ed8b47320)},
    {MT_SKILL_LOWER, MT_EASY, "lower IKWE", "ikwe", UINT64_C(0xbfa84ad85fc4f6d0)},
    {MT_SKILL_LOWER, MT_MIDDLE, "lower MEBVQUM", "mebvqum", UINT64_C(0xead5777889b909e2)},
    {MT_SKILL_LOWER, MT_HARD, "lower TYGDPZCPJGBNVOL", "tygdpzcpjgbnvol", UINT64_C(0x1e6f4733bbb9c23f)},
    {MT_SKILL_REVERSE, MT_EASY, "reverse zdsl", "lsdz", UINT64_C(0x22dd5a7cba3b45db)},
    {MT_SKILL_REVERSE, MT_MIDDLE, "reverse hmxyvmt", "tmvyxmh", UINT64_C(0xe22d167f6b03a9a8)},
    {MT_SKILL_REVERSE, MT_HARD, "reverse critousqkn", "nkqsuotirc", UINT64_C(0x98a0c7a2c472e11e)},
    {MT_SKILL_SORT, MT_EASY, "sort rlh", "hlr", UINT64_C(0x581437612946fb92)},
    {MT_SKILL_SORT, MT_MIDDLE, "sort barhrkp", "abhkprr", UINT64_C(0x5369fcb7fec3e292)},
    {MT_SKILL_SORT, MT_HARD, "sort xrpvisje", "eijprsvx", UINT64_C(0x2bff84fbe8b51949)},
    {MT_SKILL_COUNT, MT_EASY, "count f in fqwfm", "2", UINT64_C(0x758906749292ec51)},
    {MT_SKILL_COUNT, MT_MIDDLE, "count u in tyijmqfcr", "0", UINT64_C(0x71193ad4c67eebfa)},
    {MT_SKILL_COUNT, MT_HARD, "count o in hrkooooyooo", "7", UINT64_C(0x6df64aa739e9297e)},
    {MT_SKILL_ADD, MT_EASY, "9+5", "14", UINT64_C(0xc1ad61b32dc1d97e)},
    {MT_SKILL_ADD, MT_MIDDLE, "36+41", "77", UINT64_C(0x98bdb61f98decc4d)},
    {MT_SKILL_ADD, MT_HARD, "2856+7841", "10697", UINT64_C(0x8ad7336aaeea27a7)},
    {MT_SKILL_SUBTRACT, MT_EASY, "4-2", "2", UINT64_C(0x2229f76b0243f997)},
    {MT_SKILL_SUBTRACT, MT_MIDDLE, "63-61", "2", UINT64_C(0x57d82fa521811ea2)},
    {MT_SKILL_SUBTRACT, MT_HARD, "9449-2301", "7148", UINT64_C(0x87f63c6b8a9be0f4)},
    {MT_SKILL_MULTIPLY, MT_EASY, "7*6", "42", UINT64_C(0x4b60816679549b88)},
    {MT_SKILL_MULTIPLY, MT_MIDDLE, "2*37", "74", UINT64_C(0x07a4d13528a019e8)},
    {MT_SKILL_MULTIPLY, MT_HARD, "23*56", "1288", UINT64_C(0xe8faaad09679031a)},
    {MT_SKILL_COMPARE, MT_EASY, "max 10 1", "10", UINT64_C(0x82a83534e07f1eac)},
    {MT_SKILL_COMPARE, MT_MIDDLE, "min 33 54 72", "33", UINT64_C(0xc0b34847c5e4c6ca)},
    {MT_SKILL_COMPARE, MT_HARD, "min 209 2921 237 275", "209", UINT64_C(0xa2d603f497225ea0)},
    {MT_SKILL_LOOKUP, MT_EASY, "s=ftn m=dxm s?", "ftn", UINT64_C(0x8cd2b46065af32db)},
    {MT_SKILL_LOOKUP, MT_MIDDLE, "sa=ije vi=kpt li=77 li?", "77", UINT64_C(0xd89dcccb695f8270)},
    {MT_SKILL_LOOKUP, MT_HARD, "deq=99 xul=hbl xeq=74 mux=7 lin=15 deq?", "99", UINT64_C(0xd95e8f788e4dcfcf)},
    {MT_SKILL_TWO_STEPS, MT_EASY, "x=26 r=uli x? then it+1", "27", UINT64_C(0x6aeef379e1768647)},
    {MT_SKILL_TWO_STEPS, MT_MIDDLE, "mo=51 ca=84 nu=ecu so=14 so? then it*2", "28", UINT64_C(0x150e28a0ccd5c7b6)},
    {MT_SKILL_TWO_STEPS, MT_HARD, "count j in sbzjlmyjxupjjp then it*8", "32", UINT64_C(0x431d9c8b0a496d93)},
    {MT_SKILL_THREE_STEPS, MT_EASY, "t=68 f=wkw t? then it+6 then it*5", "370", UINT64_C(0x5712015f6fcc51ac)},
    {MT_SKILL_THREE_STEPS, MT_MIDDLE, "se=72 za=64 qi=owd za? then it+28 then it*9", "828", UINT64_C(0x24b0b30868aa13d2)},
    {MT_SKILL_THREE_STEPS, MT_HARD, "riq=xnz pav=48 ves=off pac=55 kuc=qhi pac? then it+28 then it*8", "664", UINT64_C(0x7311e97aa222a77a)},
    {MT_SKILL_CANNOT_KNOW, MT_EASY, "b=ftv x=52 q=dig v?", "unknown", UINT64_C(0x17b97c323338783b)},
    {MT_SKILL_CANNOT_KNOW, MT_MIDDLE, "ba=64 zu=eqo qe=70 zi=wjv ya?", "unknown", UINT64_C(0xfc08865c83cdf016)},
    {MT_SKILL_CANNOT_KNOW, MT_HARD, "how old is nax?", "unknown", UINT64_C(0x3992ed18e25a6fe0)},
};
/* clang-format on */

#endif

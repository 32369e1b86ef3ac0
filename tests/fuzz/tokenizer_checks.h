// What every tokenizer promises (tokenizer.h), whatever its family.
#pragma once
#include "data/tokenizer.h"
#include "data/utf8.h"
#include "tests/fuzz/fuzz_file.h"

namespace koine::testing {

/// Encodes and decodes a text. `n_around`: tokens that an empty text has.
inline void check_text(const Tokenizer& tokenizer, std::string_view text, size_t n_around) {
    const Encoding got = tokenizer.encode(text);
    must(got.offsets.size() == got.ids.size() && got.is_special.size() == got.ids.size() && got.n_truncated == 0);
    size_t last = 0;
    for (size_t i = 0; i < got.ids.size(); i++) {
        must(got.ids[i] >= 0 && got.ids[i] < tokenizer.n_ids());
        const auto [begin, end] = got.offsets[i];
        if (got.is_special[i]) {
            must(begin == 0 && end == 0);
            continue;
        }
        must(last <= begin && begin <= end && end <= text.size());
        last = begin;
    }
    for (const bool skips : {true, false}) {
        const std::string decoded = tokenizer.decode(got.ids, skips);
        must(utf8_valid_prefix(decoded) == decoded.size());
    }
    const Encoding cut = tokenizer.encode(text, {.max_tokens = int64_t(n_around) + 3});
    must(cut.ids.size() <= n_around + 3 && cut.ids.size() + size_t(cut.n_truncated) == got.ids.size());
}

/// A few texts, and what a tokenizer says about itself.
inline void check_tokenizer(const Tokenizer& tokenizer) {
    must(tokenizer.n_ids() >= 0 && tokenizer.max_tokens() >= 0);
    must(!tokenizer.pad_id() || (*tokenizer.pad_id() >= 0 && *tokenizer.pad_id() < tokenizer.n_ids()));
    if (tokenizer.n_ids() > 0) tokenizer.token_of(int32_t(tokenizer.n_ids() - 1));
    const size_t n_around = tokenizer.encode("").ids.size();
    for (const char* text : {"", " The  quick\tbrown fox, doesn't <s>it</s>? <mask> 12345 ``x''\n",
                             "caf\u00e9 e\u0301 \ufb01 \u1112\u1161\u11ab \u65e5\u672c \u2581\u2581 \U0001f600 \u3000",
                             "a\xff\xed\xa0\x80\xc3(\xe2\x96 [MASK][CLS] \x01\x7f \xe2\x96\x81<s> aaaaaaaa "}) {
        check_text(tokenizer, text, n_around);
    }
}

}  // namespace koine::testing

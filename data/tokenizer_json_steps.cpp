// Normalizers, pre-tokenizers and decoders of a tokenizer.json; see tokenizer_json_steps.h.
#include "data/tokenizer_json_steps.h"

#include <algorithm>
#include <array>

#include "data/charsmap.h"
#include "data/tokenizer_bpe.h"
#include "data/tokenizer_steps.h"
#include "data/tokenizer_wordpiece.h"

namespace koine {
namespace {

// Sixty steps that each replace "a" by "aa" would fill any memory: steps are counted, and by how much they grow a text.
class StepCounter {
public:
    explicit StepCounter(uint64_t max_growth_ = 1024) : max_growth(max_growth_) {}

    /// `growth`: how many times as long the step may make a text, rounded up.
    void count(const JsonObject& step, uint64_t growth = 1) {
        if (++n_steps > kMaxSteps) {
            step.fail("LIMIT", "type", "is one of more than " + std::to_string(kMaxSteps) + " steps");
        }
        // No overflow: `total` is small by this check, `growth` by kMaxText and CharsMap::kMaxRule.
        total *= std::max<uint64_t>(growth, 1);
        if (total > max_growth) {
            step.fail("LIMIT", "type",
                      "could, with the steps before it, make a text more than " + std::to_string(max_growth) +
                          " times as long");
        }
    }

    uint64_t growth() const { return total; }

private:
    static constexpr uint64_t kMaxSteps = 64;
    uint64_t max_growth, n_steps = 0, total = 1;
};

// A text that a step looks for or puts in; published ones have a few characters.
std::string short_text(const JsonObject& o, const std::string& name) {
    constexpr size_t kMaxText = 256;
    const std::string& text = o.text(name);
    if (text.size() > kMaxText) {
        o.fail("LIMIT", name,
               "has " + std::to_string(text.size()) + " bytes, expected at most " + std::to_string(kMaxText));
    }
    return text;
}

std::string one_character(const JsonObject& o, const std::string& name) {
    const std::string& text = o.text(name);
    if (text.empty() || utf8_length(text) != text.size()) {
        o.fail("VALUE", name, "is " + shown(text) + ", expected one character");
    }
    return text;
}

// {"String": "abc"} or {"Regex": " {2,}"}
struct Wanted {
    FindMatch find;
    uint64_t shortest;  // match, in bytes
};

Wanted read_wanted(const JsonObject& step) {
    const JsonObject pattern = step.object("pattern");
    if (pattern.has("String")) {
        const std::string text = short_text(pattern, "String");
        if (text.empty()) pattern.fail("VALUE", "String", "is empty, expected what to look for");
        return {find_text(text), text.size()};
    }
    const std::string& regex = pattern.text("Regex");
    auto find = find_pattern(regex);
    if (!find) {
        pattern.fail("VALUE", "Regex", "is " + shown(regex) + ", which is not read here; known: " + known_patterns());
    }
    return {std::move(*find), 1};
}

// A Replace step, as normalizer and as decoder.
template <class Step>
std::unique_ptr<Step> read_replace(const JsonObject& step, StepCounter& counter) {
    Wanted wanted = read_wanted(step);
    const std::string content = short_text(step, "content");
    counter.count(step, (content.size() + wanted.shortest - 1) / wanted.shortest);
    return std::make_unique<Step>(std::move(wanted.find), content);
}

// ---- normalizers -------------------------------------------------------------------------------------------------------

// RFC 4648, section 4.
std::vector<uint8_t> from_base64(const JsonObject& o, const std::string& name) {
    static const std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const std::array<uint8_t, 256> kValues = [] {
        std::array<uint8_t, 256> values;
        values.fill(64);
        for (size_t i = 0; i < kDigits.size(); i++) values[uint8_t(kDigits[i])] = uint8_t(i);
        return values;
    }();
    const std::string& text = o.text(name);
    const size_t n = std::min(text.find('='), text.size()), n_padding = text.size() - n;
    if (text.size() % 4 != 0 || n_padding > 2 || text.find_first_not_of('=', n) != std::string::npos) {
        o.fail("VALUE", name, "is not base64: has " + std::to_string(n) + " digits and no fitting end");
    }
    std::vector<uint8_t> bytes;
    bytes.reserve(n / 4 * 3 + 2);
    uint32_t bits = 0;  // of which the last n_bits are not yet in `bytes`
    for (size_t i = 0, n_bits = 0; i < n; i++) {
        const uint8_t value = kValues[uint8_t(text[i])];
        if (value == 64) o.fail("VALUE", name, "is not base64 at its byte " + std::to_string(i));
        bits = bits << 6 | value;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        bytes.push_back(uint8_t(bits >> n_bits));
    }
    return bytes;
}

using NormalizerList = std::vector<std::unique_ptr<Normalizer>>;

void read_normalizer(const JsonObject& o, StepCounter& counter, NormalizerList& out) {
    const std::string& type = o.text("type");
    if (type == "Sequence") {
        for (const JsonObject& step : o.objects("normalizers")) read_normalizer(step, counter, out);
        return;
    }
    if (type == "Replace") {
        out.push_back(read_replace<ReplaceNormalizer>(o, counter));
        return;
    }
    counter.count(o, type == "Precompiled" ? CharsMap::kMaxRule
                     : type == "Prepend"   ? 1 + short_text(o, "prepend").size()
                                           : 1);
    const std::pair<const char*, UnicodeForm> forms[] = {
        {"NFC", UnicodeForm::nfc}, {"NFD", UnicodeForm::nfd}, {"NFKC", UnicodeForm::nfkc}, {"NFKD", UnicodeForm::nfkd}};
    for (const auto& [name, form] : forms) {
        if (type == name) return out.push_back(std::make_unique<FormNormalizer>(form));
    }
    if (type == "Lowercase") {
        out.push_back(std::make_unique<LowercaseNormalizer>());
    } else if (type == "StripAccents") {
        out.push_back(std::make_unique<StripAccentsNormalizer>());
    } else if (type == "Nmt") {
        out.push_back(std::make_unique<NmtNormalizer>());
    } else if (type == "Strip") {
        auto strip = std::make_unique<StripNormalizer>();
        strip->left = o.flag("strip_left", true);
        strip->right = o.flag("strip_right", true);
        out.push_back(std::move(strip));
    } else if (type == "Prepend") {
        out.push_back(std::make_unique<PrependNormalizer>(short_text(o, "prepend")));
    } else if (type == "BertNormalizer") {
        auto bert = std::make_unique<BertNormalizer>();
        bert->cleans = o.flag("clean_text", true);
        bert->spaces_chinese = o.flag("handle_chinese_chars", true);
        bert->lowers = o.flag("lowercase", true);
        if (o.has("strip_accents")) bert->strips_accents = o.flag("strip_accents");
        out.push_back(std::move(bert));
    } else if (type == "Precompiled") {
        out.push_back(make_precompiled_normalizer(from_base64(o, "precompiled_charsmap"), o.file()));
    } else {
        fail_unknown_type(o,
                          "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Nmt, "
                          "BertNormalizer, Precompiled");
    }
}

// ---- pre-tokenizers ----------------------------------------------------------------------------------------------------

SplitBehavior read_behavior(const JsonObject& o) {
    const std::pair<const char*, SplitBehavior> known[] = {{"Removed", SplitBehavior::removed},
                                                           {"Isolated", SplitBehavior::isolated},
                                                           {"MergedWithPrevious", SplitBehavior::merged_with_previous},
                                                           {"MergedWithNext", SplitBehavior::merged_with_next},
                                                           {"Contiguous", SplitBehavior::contiguous}};
    const std::string behavior = o.text("behavior", "Isolated");
    for (const auto& [name, value] : known) {
        if (behavior == name) return value;
    }
    o.fail("VALUE", "behavior",
           "is " + shown(behavior) + ", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

// GPT-2's pattern, as ByteLevelSplit has it, is also written out.
constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::unique_ptr<PreTokenizer> read_split(const JsonObject& o) {
    const SplitBehavior behavior = read_behavior(o);
    const bool is_inverted = o.flag("invert", false);
    // "Everything but the matches is removed": each match is a word, and so it is where they are isolated.
    const bool keeps_matches = behavior == SplitBehavior::removed && is_inverted;
    const JsonObject pattern = o.object("pattern");
    if (pattern.text("Regex", "") == kGpt2Pattern && (keeps_matches || behavior == SplitBehavior::isolated)) {
        return std::make_unique<ByteLevelSplit>();
    }
    const bool is_symmetric = behavior == SplitBehavior::isolated || behavior == SplitBehavior::contiguous;
    if (is_inverted && !keeps_matches && !is_symmetric) {
        o.fail("VALUE", "invert", "is true, which is read here only with Removed, Isolated and Contiguous");
    }
    auto split = std::make_unique<FindSplit>();
    split->find = read_wanted(o).find;
    split->behavior = behavior;
    split->keeps_matches = keeps_matches;
    return split;
}

// Old files say add_prefix_space where newer ones have prepend_scheme; both are what encoding and decoding need.
template <class Step>
std::unique_ptr<Step> read_metaspace(const JsonObject& o) {
    using Prepend = MetaspaceSplit::Prepend;
    auto step = std::make_unique<Step>();
    step->replacement = one_character(o, "replacement");
    const bool adds = o.flag("add_prefix_space", true);
    const std::string scheme = o.text("prepend_scheme", adds ? "always" : "never");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
        o.fail("VALUE", "prepend_scheme", "is " + shown(scheme) + ", expected always, first or never");
    }
    if (!adds && scheme != "never") {
        o.fail("VALUE", "prepend_scheme", "is " + shown(scheme) + ", but add_prefix_space is false");
    }
    step->prepend = scheme == "always" ? Prepend::always : scheme == "first" ? Prepend::first : Prepend::never;
    return step;
}

void read_pre_tokenizer(const JsonObject& o, StepCounter& counter, PreTokenizers& out) {
    const std::string& type = o.text("type");
    if (type == "Sequence") {
        for (const JsonObject& step : o.objects("pretokenizers")) read_pre_tokenizer(step, counter, out);
        return;
    }
    if (out.is_byte_level) o.fail("VALUE", "type", "is " + shown(type) + ", but behind ByteLevel nothing is read here");
    // Metaspace puts its character before every word, ByteLevel a space, and a word may be one byte.
    counter.count(o, type == "Metaspace" ? 1 + one_character(o, "replacement").size() : type == "ByteLevel" ? 2 : 1);
    if (type == "ByteLevel") {
        auto split = std::make_unique<ByteLevelSplit>();
        split->adds_prefix_space = o.flag("add_prefix_space", true);
        split->uses_pattern = o.flag("use_regex", true);
        out.steps.push_back(std::move(split));
        out.is_byte_level = true;
    } else if (type == "BertPreTokenizer") {
        out.steps.push_back(std::make_unique<BertSplit>());
    } else if (type == "Whitespace") {
        out.steps.push_back(std::make_unique<WordSplit>());
    } else if (type == "WhitespaceSplit") {
        out.steps.push_back(std::make_unique<WhitespaceSplit>());
    } else if (type == "Metaspace") {
        auto split = read_metaspace<MetaspaceSplit>(o);
        split->cuts = o.flag("split", true);
        out.steps.push_back(std::move(split));
    } else if (type == "Punctuation") {
        auto split = std::make_unique<PunctuationSplit>();
        split->behavior = read_behavior(o);
        out.steps.push_back(std::move(split));
    } else if (type == "Digits") {
        auto split = std::make_unique<DigitSplit>();
        split->is_individual = o.flag("individual_digits", false);
        out.steps.push_back(std::move(split));
    } else if (type == "Split") {
        out.steps.push_back(read_split(o));
    } else {
        fail_unknown_type(o,
                          "Sequence, ByteLevel, BertPreTokenizer, Whitespace, WhitespaceSplit, Metaspace, "
                          "Punctuation, Digits, Split");
    }
}

// ---- decoders ----------------------------------------------------------------------------------------------------------

std::unique_ptr<TokenDecoder> read_whole_decoder(const JsonObject& o) {
    const std::string& type = o.text("type");
    if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
    if (type != "WordPiece") return nullptr;
    auto decoder = std::make_unique<WordPieceDecoder>();
    decoder->prefix = short_text(o, "prefix");
    decoder->cleans_up = o.flag("cleanup", true);
    return decoder;
}

void read_decode_steps(const JsonObject& o, StepCounter& counter, DecoderChain& out) {
    const std::string& type = o.text("type");
    if (type == "Sequence") {
        for (const JsonObject& step : o.objects("decoders")) read_decode_steps(step, counter, out);
        return;
    }
    if (type == "Replace") {
        out.steps.push_back(read_replace<ReplaceStep>(o, counter));
        return;
    }
    counter.count(o);
    if (auto decoder = read_whole_decoder(o)) {
        out.steps.push_back(std::make_unique<WholeStep>(std::move(decoder)));
    } else if (type == "ByteFallback") {
        out.steps.push_back(std::make_unique<ByteFallbackStep>());
    } else if (type == "Fuse") {
        out.steps.push_back(std::make_unique<FuseStep>());
    } else if (type == "Strip") {
        constexpr int64_t kMost = 1 << 16;  // more would be a mistake
        auto strip = std::make_unique<StripStep>();
        strip->content = one_character(o, "content");
        strip->start = o.whole("start", 0, kMost);
        strip->stop = o.whole("stop", 0, kMost);
        out.steps.push_back(std::move(strip));
    } else if (type == "Metaspace") {
        out.steps.push_back(read_metaspace<MetaspaceStep>(o));
    } else if (type == "BPEDecoder") {
        auto step = std::make_unique<WordEndStep>();
        step->suffix = short_text(o, "suffix");
        if (step->suffix.empty()) o.fail("VALUE", "suffix", "is empty, expected what ends a word");
        out.steps.push_back(std::move(step));
    } else {
        fail_unknown_type(o,
                          "Sequence, ByteLevel, WordPiece, Metaspace, BPEDecoder, Replace, ByteFallback, Fuse, Strip");
    }
}

}  // namespace

void fail_unknown_type(const JsonObject& step, const char* known) {
    step.fail("VALUE", "type", "is " + shown(step.text("type")) + ", which is not read here; known: " + known);
}

Normalizers read_normalizers(const JsonObject& section) {
    Normalizers out;
    StepCounter counter;
    read_normalizer(section, counter, out.steps);
    out.growth = counter.growth();
    return out;
}

PreTokenizers read_pre_tokenizers(const JsonObject& section) {
    PreTokenizers out;
    StepCounter counter(16);  // Metaspace and ByteLevel come to 8
    read_pre_tokenizer(section, counter, out);
    return out;
}

std::unique_ptr<TokenDecoder> read_decoder(const JsonObject& section) {
    if (auto decoder = read_whole_decoder(section)) return decoder;
    auto chain = std::make_unique<DecoderChain>();
    StepCounter counter;
    read_decode_steps(section, counter, *chain);
    return chain;
}

}  // namespace koine

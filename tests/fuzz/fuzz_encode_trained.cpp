// Fuzz target: any text for trained tokenizers, SentencePiece models and tokenizer.json files, those of the golden
// tests. The first byte of the input chooses one, the rest is the text. No text is wrong: every exception and whatever
// the sanitizers see is a finding, and what comes out must keep the promises of tokenizer.h.
#include "data/json.h"
#include "data/sentencepiece.h"
#include "data/tokenizer_json.h"
#include "tests/fuzz/tokenizer_checks.h"

using namespace koine;
using namespace koine::testing;

namespace {

std::vector<Tokenizer> trained() {
    const std::filesystem::path golden = std::filesystem::path(KOINE_SOURCE_DIR) / "tests/golden";
    std::vector<Tokenizer> all;
    const Json json = read_json(golden / "tokenizer_json.json");
    for (const auto& [name, tokenizer] : json.at("tokenizers").items()) {
        const std::string text = tokenizer.at("file").dump();
        const ByteSpan bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
        all.emplace_back(read_tokenizer_json(fuzz_file(bytes)));
    }
    std::set<std::filesystem::path> models;
    for (const auto& entry : std::filesystem::directory_iterator(golden / "sentencepiece")) {
        if (entry.path().extension() == ".model") models.insert(entry.path());
    }
    for (const auto& model : models) all.emplace_back(read_sentencepiece(model, SentencePieceIds::plain));
    must(all.size() >= 8);
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static const std::vector<Tokenizer> tokenizers = trained();
    const Tokenizer& tokenizer = tokenizers[data[0] % tokenizers.size()];
    check_text(tokenizer, text_of({data + 1, size - 1}), tokenizer.encode("").ids.size());
    std::vector<int32_t> ids;  // and any ids have a text
    for (size_t i = 1; i + 1 < std::min<size_t>(size, 200); i += 2) {
        ids.push_back(int32_t((data[i] | data[i + 1] << 8) % tokenizer.n_ids()));
    }
    const std::string decoded = tokenizer.decode(ids);
    must(utf8_valid_prefix(decoded) == decoded.size());
    return 0;
}

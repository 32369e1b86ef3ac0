// Fuzz target: parallel texts, as anchors are. The first byte of the input says whether the files are gzipped, the rest
// is both of them.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of parallel_texts.h.
#include "data/parallel_texts.h"

#include "data/utf8.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static FuzzFolder folder;
    const auto parts = parts_of({data + 1, size - 1}, 2);
    const auto put = [&](const char* name, ByteSpan bytes, bool is_gzip) {
        if (!is_gzip) return folder.put(name, bytes);
        return folder.put(name, gzipped(bytes));
    };
    try {
        const ParallelTexts texts =
            read_parallel_texts(put("en", parts[0], data[0] & 1), put("it", parts[1], data[0] & 2));
        must(texts.size() >= 2 && texts.it.size() == texts.en.size() && texts.en != texts.it);
        for (const auto* lines : {&texts.en, &texts.it}) {
            for (const std::string& line : *lines) {
                must(!line.empty() && utf8_valid_prefix(line) == line.size() && line.find('\n') == line.npos);
            }
        }
        must(content_hash(texts) == texts.hash && texts.hash.size() == 16);
    } catch (const DataError&) {
    }
    return 0;
}

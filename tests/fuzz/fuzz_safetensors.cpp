// Fuzz target: safetensors. The first byte of the input chooses what the rest is: a file, whose tensors are read, or a
// header alone, with as many bytes of values behind it as the second byte says, times 4.
// A DataError is the right answer to a damaged file. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of safetensors.h, and must be read again after it was written.
#include <string_view>

#include "data/safetensors_file.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check(const SafetensorsHeader& header, uint64_t payload_bytes) {
    uint64_t end = 0;
    for (const SafetensorsEntry& t : header.tensors) {
        must(t.begin == end && t.end >= t.begin);
        must(uint64_t(t.shape.numel()) * bytes_of(t.dtype) == t.end - t.begin);
        end = t.end;
    }
    must(end == payload_bytes);
}

void read_file(ByteSpan bytes) {
    SafetensorsFile file(fuzz_file(bytes));
    std::vector<real> values;
    for (size_t i = 0; i < file.entries().size(); i++) {
        const int64_t n = file.entries()[i].shape.numel();
        must(n >= 0 && uint64_t(n) <= bytes.size());
        values.resize(size_t(n));
        try {
            file.read(i, values);
        } catch (const DataError&) {  // a number that `real` cannot hold; the others can be read
        }
    }
}

void read_header(std::string_view json, uint64_t payload_bytes) {
    const SafetensorsHeader header = parse_safetensors_header(json, payload_bytes, "memory");
    check(header, payload_bytes);
    const std::string written = format_safetensors_header(header);
    const SafetensorsHeader again =
        parse_safetensors_header(std::string_view(written).substr(8), payload_bytes, "memory");
    check(again, payload_bytes);
    must(again.metadata == header.metadata && again.tensors.size() == header.tensors.size());
    must(format_safetensors_header(again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const ByteSpan rest(data + 2, size - 2);
    try {
        if (data[0] % 2 == 0) {
            read_file(rest);
        } else {
            read_header({reinterpret_cast<const char*>(rest.data()), rest.size()}, 4 * uint64_t(data[1]));
        }
    } catch (const DataError&) {
    }
    return 0;
}

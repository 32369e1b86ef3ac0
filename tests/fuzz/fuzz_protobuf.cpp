// Fuzz target: the wire format of Protocol Buffers. The input is a message; every field of bytes is also tried as a
// message.
// A DataError is the right answer to a damaged message. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of protobuf.h.
#include "data/protobuf.h"

#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// Reads a message. Every field is asked in one of the ways there are: an error for each would take most of the time.
/// `left` is how many fields may be read in all: levels of levels would take forever.
void read(ProtoReader message, ByteSpan all, int& left) {
    uint64_t last = 0;
    while (left-- > 0 && message.next()) {
        must(message.number() >= 1 && message.number() < (1 << 29) && message.offset() < all.size());
        must(message.offset() >= last);
        last = message.offset();
        try {
            switch (message.number() % 4) {
                case 0: message.whole("whole"); break;
                case 1: message.number32("number"); break;
                case 2: {
                    const ByteSpan bytes = message.bytes("bytes");
                    must(message.bytes_offset() + bytes.size() <= all.size());
                    must(bytes.empty() || bytes.data() == all.data() + message.bytes_offset());
                    break;
                }
                default: read(message.message("message"), all, left);
            }
        } catch (const DataError&) {  // of another type; the next one can be read
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const ByteSpan all(data, size);
    int left = 100'000;
    try {
        read(ProtoReader(all, "memory"), all, left);
    } catch (const DataError&) {
    }
    return 0;
}

// Fuzz target: GzipReader. The first byte of the input chooses what the rest is: a file, in memory or not; DEFLATE
// data, around which a header and the right checksum are put (changed bytes would rarely pass it); contents, which
// become two members. The second byte chooses how much is read at once. A DataError is the right answer to a damaged
// file. Every other exception, and whatever the sanitizers see, is a finding. What is accepted must be what zlib alone
// makes of it, and the other way round.
#include "data/gzip.h"

#include <algorithm>
#include <optional>

#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;
using Bytes = std::vector<uint8_t>;

namespace {

constexpr size_t kMaxContents = 1 << 20;

/// Inflates one stream at the front of `in`, which then begins behind it. Nothing when it is damaged, or too long.
std::optional<Bytes> inflated(ByteSpan& in, int window_bits) {
    z_stream stream{};
    must(inflateInit2(&stream, window_bits) == Z_OK);
    stream.next_in = const_cast<Bytef*>(in.data());
    stream.avail_in = uInt(in.size());
    Bytes out;
    int status = Z_OK;
    while (status == Z_OK && out.size() <= kMaxContents) {
        const size_t n_before = out.size();
        out.resize(n_before + 65536);
        stream.next_out = out.data() + n_before;
        stream.avail_out = 65536;
        status = inflate(&stream, Z_NO_FLUSH);
        out.resize(stream.total_out);
    }
    in = in.last(stream.avail_in);
    inflateEnd(&stream);
    return status == Z_STREAM_END ? std::optional(std::move(out)) : std::nullopt;
}

/// What a whole file stands for, by zlib alone.
std::optional<Bytes> expected(ByteSpan file) {
    const bool is_gzip = file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b;
    if (!is_gzip) return Bytes(file.begin(), file.end());
    Bytes all;
    while (!file.empty() && all.size() <= kMaxContents) {
        const auto member = inflated(file, MAX_WBITS + 16);
        if (!member) return std::nullopt;
        all.insert(all.end(), member->begin(), member->end());
    }
    return all;
}

/// All contents in steps, but not more than kMaxContents of them.
Bytes contents_of(GzipReader& in, size_t step) {
    Bytes all, chunk(step);
    uint64_t bound = in.max_remaining();
    while (all.size() <= kMaxContents && !in.at_end()) {
        must(in.offset() == all.size() && all.size() + in.max_remaining() <= std::max(bound, bound + 2 * 65536));
        bound = all.size() + in.max_remaining();
        const size_t n = in.read(chunk);
        must(n > 0 && n <= step);
        all.insert(all.end(), chunk.begin(), chunk.begin() + std::ptrdiff_t(n));
        must(all.size() <= bound);
    }
    return all;
}

void read(GzipReader& in, ByteSpan file, size_t step) {
    const auto wanted = expected(file);
    Bytes got;
    try {
        got = contents_of(in, step);
    } catch (const DataError&) {
        must(!wanted || wanted->size() > kMaxContents);
        throw;
    }
    if (got.size() > kMaxContents) return;
    must(wanted && *wanted == got);
}

void append_le32(Bytes& bytes, uint32_t number) {
    for (int i = 0; i < 4; i++) bytes.push_back(uint8_t(number >> (8 * i)));
}

/// A member around DEFLATE data.
Bytes member_around(ByteSpan deflated) {
    Bytes out = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    ByteSpan left = deflated;
    const auto contents = inflated(left, -MAX_WBITS);
    const size_t n_used = contents ? deflated.size() - left.size() : deflated.size();
    out.insert(out.end(), deflated.begin(), deflated.begin() + std::ptrdiff_t(n_used));
    if (!contents) return out;
    append_le32(out, uint32_t(crc32_z(0, contents->data(), contents->size())));
    append_le32(out, uint32_t(contents->size()));
    out.insert(out.end(), left.begin(), left.end());  // behind the member: the next one, or too much
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const ByteSpan rest(data + 2, size - 2);
    const size_t step = size_t(data[1]) * data[1] + 1;
    try {
        switch (data[0] % 4) {
            case 0: {
                GzipReader in(rest, "memory");
                read(in, rest, step);
                break;
            }
            case 1: {
                GzipReader in(fuzz_file(rest));
                read(in, rest, step);
                break;
            }
            case 2: {
                const Bytes file = member_around(rest);
                GzipReader in(file, "memory");
                read(in, file, step);
                break;
            }
            default: {
                Bytes file = gzipped(rest.first(rest.size() / 2));
                const Bytes second = gzipped(rest.subspan(rest.size() / 2), data[1] % 10);
                file.insert(file.end(), second.begin(), second.end());
                GzipReader in(file, "memory");
                const Bytes got = contents_of(in, step);
                must(std::equal(got.begin(), got.end(), rest.begin(), rest.end()));
            }
        }
    } catch (const DataError&) {
    }
    return 0;
}

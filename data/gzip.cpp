// Gzip by way of zlib's inflate, member by member; see gzip.h.
#include "data/gzip.h"

#include <algorithm>
#include <new>

namespace koine {
namespace {

constexpr size_t kChunk = 65536;
constexpr uint64_t kMaxRatio = 1032;

}  // namespace

GzipReader::GzipReader(const std::string& path)
    : name(path), source(std::make_unique<InputFile>(path)), input_buffer(kChunk), file_size(source->size()) {
    start();
}

GzipReader::GzipReader(std::span<const uint8_t> bytes, std::string name_)
    : name(std::move(name_)), input(bytes), file_size(bytes.size()), n_input(bytes.size()) {
    start();
}

GzipReader::~GzipReader() {
    if (stream) inflateEnd(stream.get());
}

void GzipReader::start() {
    if (input.empty()) refill_input();
    if (input.size() < 2 || input[0] != 0x1f || input[1] != 0x8b) return;
    output_buffer.resize(kChunk);
    auto started = std::make_unique<z_stream>();
    // 16 + MAX_WBITS: the gzip wrapper and nothing else, so that zlib checks the header, the CRC and the length.
    if (inflateInit2(started.get(), 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
    stream = std::move(started);  // only now: the destructor ends what was started
}

bool GzipReader::refill_input() {
    if (!source) return false;
    const size_t n = source->read(input_buffer);
    n_input += n;
    input = std::span(input_buffer).first(n);
    return n > 0;
}

std::span<const uint8_t> GzipReader::peek() {
    if (!ready.empty()) return ready;
    if (stream) {
        while (ready.empty() && !is_finished) inflate_more();
    } else if (!input.empty() || refill_input()) {
        ready = input;
        input = {};
    }
    return ready;
}

void GzipReader::inflate_more() {
    if (input.empty() && !refill_input()) fail_compressed("TRUNC", "the gzip stream ends before its trailer");
    stream->next_in = const_cast<Bytef*>(input.data());  // zlib does not write there
    stream->avail_in = uInt(std::min<size_t>(input.size(), 1u << 30));
    stream->next_out = output_buffer.data();
    stream->avail_out = uInt(output_buffer.size());
    const int status = inflate(stream.get(), Z_NO_FLUSH);
    input = input.subspan(size_t(stream->next_in - input.data()));
    ready = std::span(output_buffer).first(output_buffer.size() - stream->avail_out);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status == Z_DATA_ERROR || status == Z_NEED_DICT) {
        fail_compressed("VALUE", std::string("damaged gzip data: ") + (stream->msg ? stream->msg : "unknown error"));
    }
    if (status != Z_STREAM_END) return;  // Z_BUF_ERROR only says that input ran out: the next call brings more or fails
    if (input.empty() && !refill_input()) {
        is_finished = true;
        return;
    }
    // What follows must be another member. When the magic's second byte is in the next chunk, inflate checks it.
    if (input[0] != 0x1f || (input.size() > 1 && input[1] != 0x8b))
        fail_compressed("SYNTAX", "trailing bytes behind the gzip data");
    inflateReset(stream.get());
}

void GzipReader::skip(size_t n) {
    ready = ready.subspan(n);
    position += n;
}

size_t GzipReader::read(std::span<uint8_t> out) {
    size_t n = 0;
    while (n < out.size()) {
        const auto bytes = peek();
        if (bytes.empty()) break;
        const size_t step = std::min(bytes.size(), out.size() - n);
        std::copy_n(bytes.begin(), step, out.begin() + std::ptrdiff_t(n));
        skip(step);
        n += step;
    }
    return n;
}

uint64_t GzipReader::max_remaining() const {
    const uint64_t left = file_size - std::min(n_input, file_size) + input.size();
    if (!stream) return ready.size() + left;
    // inflate may hold a match and three bytes of input whose output is still to come; the eight bytes of the trailer,
    // which are counted here and give no output, are more than that.
    return ready.size() + std::min(left, UINT64_MAX / (2 * kMaxRatio)) * kMaxRatio;
}

void GzipReader::fail(const char* kind, const std::string& problem) const {
    throw DataError(kind, name, "byte " + std::to_string(position), problem);
}

void GzipReader::fail_compressed(const char* kind, const std::string& problem) const {
    const std::string where = "byte " + std::to_string(n_input - input.size()) + " of the gzip file";
    throw DataError(kind, name, where, problem);
}

std::vector<uint8_t> read_maybe_gzip(const std::string& path, uint64_t max_bytes) {
    GzipReader in(path);
    std::vector<uint8_t> contents;
    while (!in.at_end()) {
        const auto bytes = in.peek();
        if (bytes.size() > max_bytes - contents.size()) {
            in.fail("LIMIT", "the contents are longer than the " + std::to_string(max_bytes) + " bytes expected here");
        }
        contents.insert(contents.end(), bytes.begin(), bytes.end());
        in.skip(bytes.size());
    }
    return contents;
}

}  // namespace koine

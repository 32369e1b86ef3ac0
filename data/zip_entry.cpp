// The contents of one file in a zip archive; see zip.h.
#include <algorithm>
#include <new>

#include "data/json.h"
#include "data/zip.h"

namespace koine {
namespace {

// Small enough for a core's cache: the checksum finds there what was read just before.
constexpr uint64_t kStep = 256 << 10;

}  // namespace

ZipEntryReader::ZipEntryReader(const InputFile& file_, const std::string& path_, const ZipEntry& entry_,
                               bool checks_crc_)
    : file(file_), path(path_), entry(entry_), checks_crc(checks_crc_) {
    if (!entry.is_deflated) return;
    auto started = std::make_unique<z_stream>();
    // Negative: DEFLATE alone, without a wrapper.
    if (inflateInit2(started.get(), -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    stream = std::move(started);  // only now: the destructor ends what was started
}

ZipEntryReader::~ZipEntryReader() {
    if (stream) inflateEnd(stream.get());
}

// Fills the front of `out`, which becomes what is left of it, as far as the packed bytes at hand reach; when there are
// none, fetches more first. Returns zlib's status.
int ZipEntryReader::inflate_some(std::span<uint8_t>& out) {
    if (stream->avail_in == 0) {
        packed.resize(std::min(entry.packed_size - packed_position, kStep));
        file.read_at(entry.data_offset + packed_position, packed, "entry " + shown(entry.name));
        packed_position += packed.size();
        stream->next_in = packed.data();
        stream->avail_in = uInt(packed.size());
    }
    const bool is_exhausted = stream->avail_in == 0;
    stream->next_out = out.data();
    stream->avail_out = uInt(out.size());
    const int status = inflate(stream.get(), Z_NO_FLUSH);
    out = out.last(stream->avail_out);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status == Z_DATA_ERROR || status == Z_NEED_DICT) {
        fail("VALUE", std::string("holds damaged data: ") + (stream->msg ? stream->msg : "unknown error"));
    }
    if (status != Z_STREAM_END && is_exhausted && !out.empty()) fail("TRUNC", "ends inside its deflated data");
    return status;
}

void ZipEntryReader::read(std::span<uint8_t> out) {
    if (out.size() > entry.size - position) throw ValueError(path + ": reading beyond the end of " + entry.name);
    while (!out.empty()) {
        const auto step = out.first(std::min<uint64_t>(out.size(), kStep));
        if (stream) {
            for (auto left = step; !left.empty();) {
                if (inflate_some(left) == Z_STREAM_END && !left.empty()) {
                    fail("TRUNC", "unpacks to fewer than the " + std::to_string(entry.size) + " bytes said");
                }
            }
        } else {
            file.read_at(entry.data_offset + position, step, "entry " + shown(entry.name));
        }
        if (checks_crc) crc = uint32_t(crc32_z(crc, step.data(), step.size()));
        position += step.size();
        out = out.subspan(step.size());
    }
}

void ZipEntryReader::skip(uint64_t n_bytes) {
    if (!stream && !checks_crc) {
        position += std::min(n_bytes, entry.size - position);
        return;
    }
    std::vector<uint8_t> ignored(std::min(n_bytes, kStep));
    while (n_bytes > 0) {
        const auto step = std::span(ignored).first(std::min(n_bytes, kStep));
        read(step);
        n_bytes -= step.size();
    }
}

void ZipEntryReader::finish() {
    skip(entry.size - position);
    if (stream) {
        // There is room for one byte more than was said, so that what is too long shows.
        uint8_t byte = 0;
        std::span<uint8_t> room(&byte, 1);
        while (!room.empty() && inflate_some(room) != Z_STREAM_END) continue;
        if (room.empty()) fail("LIMIT", "unpacks to more than the " + std::to_string(entry.size) + " bytes said");
        if (stream->avail_in > 0 || packed_position < entry.packed_size) {
            fail("OFFSET", "has bytes behind its deflated data");
        }
    }
    if (checks_crc && crc != entry.crc) fail("VALUE", "is damaged: its CRC-32 is not the one written in the archive");
}

void ZipEntryReader::fail(const char* kind, const std::string& problem) const {
    throw DataError(kind, path, "byte " + std::to_string(entry.data_offset),
                    "entry " + shown(entry.name) + " " + problem);
}

std::vector<uint8_t> read_entry(const InputFile& file, const std::string& path, const ZipEntry& entry,
                                uint64_t max_bytes) {
    if (entry.size > max_bytes) {
        throw DataError("LIMIT", path, "byte " + std::to_string(entry.data_offset),
                        "entry " + shown(entry.name) + " has " + std::to_string(entry.size) + " bytes; at most " +
                            std::to_string(max_bytes) + " are expected there");
    }
    std::vector<uint8_t> contents(entry.size);
    ZipEntryReader in(file, path, entry, true);
    in.read(contents);
    in.finish();
    return contents;
}

}  // namespace koine

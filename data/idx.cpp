// IDX reading; see idx.h.
#include "data/idx.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace koine {
namespace {

uint32_t byte_swapped(uint32_t v) { return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24; }

std::optional<uint64_t> product(const std::vector<uint32_t>& extents) {
    uint64_t n = 1;
    for (uint32_t extent : extents) {
        const auto next = mul_checked(n, extent);
        if (!next) return std::nullopt;
        n = *next;
    }
    return n;
}

std::string listed(const std::vector<uint32_t>& extents) {
    std::string s;
    for (uint32_t extent : extents) s += (s.empty() ? "" : " x ") + std::to_string(extent);
    return s;
}

std::string hex(uint8_t byte) {
    char text[8];
    std::snprintf(text, sizeof text, "0x%02x", byte);
    return text;
}

void read_header_bytes(GzipReader& in, std::span<uint8_t> out, const char* field) {
    if (in.read(out) < out.size()) in.fail("TRUNC", std::string("the file ends inside the ") + field);
}

/// Reads magic and type and returns the rank.
int read_magic(GzipReader& in) {
    std::array<uint8_t, 4> magic{};
    read_header_bytes(in, magic, "IDX magic number");
    if (magic[0] != 0 || magic[1] != 0) {
        const bool reversed = magic[2] == 0 && magic[3] == 0;
        in.fail("MAGIC", "starts with " + hex(magic[0]) + " " + hex(magic[1]) + ", an IDX file starts with 0x00 0x00" +
                             (reversed ? " (byte order? The header looks little-endian)" : ""));
    }
    const uint8_t type = magic[2];
    if (type != 0x08) {
        const bool is_known = type == 0x09 || (type >= 0x0b && type <= 0x0e);
        in.fail("DTYPE", "value type " + hex(type) +
                             (is_known ? " is valid in IDX but not supported here" : " does not exist") +
                             "; expected 0x08, unsigned bytes");
    }
    if (magic[3] < 1 || magic[3] > 3) {
        in.fail("SHAPE", "has " + std::to_string(magic[3]) + " dimensions; 1 to 3 are expected");
    }
    return magic[3];
}

/// How many values the extents promise. Throws unless as many can be in what is left of the file.
uint64_t checked_size(GzipReader& in, const std::vector<uint32_t>& extents) {
    const auto size = product(extents);
    const uint64_t available = in.max_remaining();
    if (size && *size <= std::min(available, kMaxIdxBytes)) return *size;

    auto swapped = extents;
    std::transform(swapped.begin(), swapped.end(), swapped.begin(), byte_swapped);
    const auto swapped_size = product(swapped);
    if (swapped_size && *swapped_size <= available) {
        in.fail("LIMIT", "the header promises " + listed(extents) + " values; byte order? Little-endian it reads " +
                             listed(swapped) + ", IDX is big-endian");
    }
    if (!size) in.fail("OVERFLOW", "the header promises " + listed(extents) + " values, more than 64 bits can count");
    if (*size > available) {
        in.fail("TRUNC", "the header promises " + listed(extents) + " = " + std::to_string(*size) + " values, " +
                             (in.is_compressed() ? "the file holds at most " : "but there are ") +
                             std::to_string(available));
    }
    in.fail("LIMIT", "the header promises " + std::to_string(*size) + " values; at most " +
                         std::to_string(kMaxIdxBytes) + " are accepted");
}

/// Nothing may follow the values. A gzip file is followed for one page only: what is behind may be a bomb.
void check_end(GzipReader& in, uint64_t size) {
    std::array<uint8_t, 4096> page;
    uint64_t extra = in.is_compressed() ? in.read(page) : in.max_remaining();
    if (extra == 0 && in.at_end()) return;
    if (!in.at_end() && in.is_compressed()) {
        in.fail("LIMIT", "more than " + std::to_string(extra) + " bytes follow the " + std::to_string(size) +
                             " values that the header promises");
    }
    in.fail("SYNTAX", std::to_string(extra) + " trailing bytes behind the " + std::to_string(size) +
                          " values that the header promises");
}

}  // namespace

Idx read_idx(GzipReader& in, bool empty_ok) {
    std::vector<uint32_t> extents(size_t(read_magic(in)));
    for (uint32_t& extent : extents) {
        std::array<uint8_t, 4> bytes{};
        read_header_bytes(in, bytes, "IDX extents");
        extent = ByteReader(bytes, in.file()).be32("extent");
    }
    if (extents[0] == 0 && !empty_ok) in.fail("SHAPE", "holds no records: extents " + listed(extents));
    if (std::count(extents.begin() + 1, extents.end(), 0u) > 0) {
        in.fail("SHAPE", "the records are empty: extents " + listed(extents));
    }
    const uint64_t size = checked_size(in, extents);

    Idx idx;
    idx.dims.assign(extents.begin(), extents.end());
    idx.values.reserve(size);  // only addresses: the pages come with the data
    while (idx.values.size() < size && !in.at_end()) {
        const auto bytes = in.peek().first(std::min<uint64_t>(in.peek().size(), size - idx.values.size()));
        idx.values.insert(idx.values.end(), bytes.begin(), bytes.end());
        in.skip(bytes.size());
    }
    if (idx.values.size() < size) {
        in.fail("TRUNC", "the header promises " + listed(extents) + " = " + std::to_string(size) +
                             " values, there are " + std::to_string(idx.values.size()));
    }
    check_end(in, size);
    return idx;
}

Idx read_idx(const std::string& path, bool empty_ok) {
    GzipReader in(path);
    return read_idx(in, empty_ok);
}

LabelledImages read_labelled_images(const std::string& images_path, const std::string& labels_path, int n_classes) {
    Idx images = read_idx(images_path);
    Idx labels = read_idx(labels_path);
    if (images.dims.size() != 3 || labels.dims.size() != 1) {
        throw DataError("SHAPE", images_path, "",
                        "has " + std::to_string(images.dims.size()) + " dimensions and " + labels_path + " has " +
                            std::to_string(labels.dims.size()) + "; expected 3 (images) and 1 (labels)");
    }
    if (images.dims[0] != labels.dims[0]) {
        throw DataError("SHAPE", labels_path, "",
                        "count mismatch: " + std::to_string(labels.dims[0]) + " labels for the " +
                            std::to_string(images.dims[0]) + " images of " + images_path);
    }
    for (size_t i = 0; i < labels.values.size(); i++) {
        if (labels.values[i] >= n_classes) {
            throw DataError(
                "VALUE", labels_path, "record " + std::to_string(i),
                "label " + std::to_string(labels.values[i]) + ", expected 0 to " + std::to_string(n_classes - 1));
        }
    }
    return {std::move(images), std::move(labels.values)};
}

}  // namespace koine

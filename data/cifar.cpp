// CIFAR's records; see cifar.h.
#include "data/cifar.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "data/fnv.h"
#include "data/gzip.h"
#include "data/utf8.h"

namespace koine {
namespace {

constexpr size_t kPixels = size_t(3) * 32 * 32;

struct Problem {
    const char* kind;
    std::string place, text;
};

/// The first thing that is wrong with the bytes as records of a format.
std::optional<Problem> first_problem(std::span<const uint8_t> bytes, const CifarFormat& format) {
    const size_t record = format.record_bytes(), n = bytes.size() / record;
    const auto out_of_range = [&](size_t i, const char* what, int label, int n_labels) {
        return Problem{"VALUE", "record " + std::to_string(i),
                       what + (" " + std::to_string(label)) + ", expected 0 to " + std::to_string(n_labels - 1)};
    };
    if (bytes.empty()) return Problem{"MISSING", "", "the file is empty, expected records"};
    if (bytes.size() % record != 0) {
        return Problem{"TRUNC", "record " + std::to_string(n),
                       std::to_string(bytes.size() % record) + " bytes are left over behind " + std::to_string(n) +
                           " records of " + std::to_string(record) + " bytes"};
    }
    std::vector<std::optional<size_t>> first_of(size_t(format.n_classes));  // the first record of each class
    for (size_t i = 0; i < n; i++) {
        const uint8_t* at = bytes.data() + i * record;
        const int superclass = at[0], label = at[record - kPixels - 1];
        if (format.n_superclasses > 0 && superclass >= format.n_superclasses) {
            return out_of_range(i, "superclass", superclass, format.n_superclasses);
        }
        if (label >= format.n_classes) return out_of_range(i, "class", label, format.n_classes);
        std::optional<size_t>& first = first_of[size_t(label)];
        if (!first) first = i;
        if (const int expected = bytes[*first * record]; superclass != expected) {
            return Problem{"VALUE", "record " + std::to_string(i),
                           "class " + std::to_string(label) + " has superclass " + std::to_string(superclass) +
                               ", but " + std::to_string(expected) + " in record " + std::to_string(*first)};
        }
    }
    return std::nullopt;
}

}  // namespace

CifarImages parse_cifar(std::vector<uint8_t> bytes, const std::string& file, const CifarFormat& format) {
    if (begins_as_pickle(bytes)) refuse_pickle(file, format);
    if (const auto problem = first_problem(bytes, format)) {
        const CifarFormat& other = format.n_superclasses > 0 ? kCifar10 : kCifar100;
        if (!first_problem(bytes, other)) {
            throw DataError("VALUE", file, "",
                            std::string("seems to be a file of ") + other.title + ": whole records of " +
                                std::to_string(other.record_bytes()) + " bytes, all labels right; expected " +
                                format.title);
        }
        throw DataError(problem->kind, file, problem->place, problem->text);
    }
    const size_t record = format.record_bytes(), n = bytes.size() / record;
    CifarImages out;
    Fnv1a hash;
    for (uint8_t byte : bytes) hash.add(byte);
    out.hash = hash.value;
    out.labels.reserve(n);
    for (size_t i = 0; i < n; i++) {
        const uint8_t* pixels = bytes.data() + (i + 1) * record - kPixels;
        out.labels.push_back(pixels[-1]);
        if (format.n_superclasses > 0) out.superclasses.push_back(pixels[-2]);
        std::copy_n(pixels, kPixels, bytes.data() + i * kPixels);  // to the front, over labels that are read
    }
    bytes.resize(n * kPixels);
    out.images = {{int64_t(n), 3, 32, 32}, std::move(bytes)};
    return out;
}

CifarImages read_cifar(const std::string& path, const CifarFormat& format) {
    return parse_cifar(read_maybe_gzip(path, kMaxCifarRecords * format.record_bytes()), path, format);
}

std::vector<std::string> parse_class_names(std::span<const uint8_t> bytes, const std::string& file, int n) {
    std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    text = text.substr(0, text.find_last_not_of("\r\n") + 1);
    std::vector<std::string> names;
    std::set<std::string_view> seen;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view name = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (name.ends_with('\r')) name.remove_suffix(1);
        const auto fail = [&](const char* kind, const std::string& problem) {
            throw DataError(kind, file, "line " + std::to_string(names.size() + 1), problem);
        };
        if (utf8_valid_prefix(name) < name.size()) fail("UTF8", "the name is not UTF-8");
        if (std::any_of(name.begin(), name.end(), [](char c) { return uint8_t(c) < ' ' || c == 0x7f; })) {
            fail("SYNTAX", "a control character in a name");
        }
        if (!seen.insert(name).second) fail("DUP", "the name '" + std::string(name) + "' for the second time");
        names.emplace_back(name);
    }
    if (names.size() != size_t(n)) {
        throw DataError(
            "SHAPE", file, "",
            "has " + std::to_string(names.size()) + " names, expected " + std::to_string(n) + ", one for each class");
    }
    return names;
}

bool begins_as_pickle(std::span<const uint8_t> bytes) {
    return bytes.size() >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5;
}

void refuse_pickle(const std::string& file, const CifarFormat& format) {
    const std::string name = format.name;
    throw DataError("MAGIC", file, "",
                    "is a pickle, of the Python version of " + std::string(format.title) +
                        "; pickles can run code and are not read. Get the binary version, " + name +
                        "-binary.tar.gz: data/fetch.sh " + name);
}

}  // namespace koine

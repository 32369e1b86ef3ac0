// The safetensors header; see safetensors.h.
#include "data/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "data/bytes.h"
#include "data/json.h"
#include "data/utf8.h"

namespace koine {
namespace {

constexpr const char* kMetadata = "__metadata__";

// ---- parsing ------------------------------------------------------------------------------------------------------

// Sees the events of the JSON parser, which checks the grammar, and checks everything else as it comes: a whole tree of
// a hostile header would take many times its size, and would have lost duplicate keys.
class HeaderParser : public nlohmann::json::json_sax_t {
public:
    HeaderParser(std::string file_, uint64_t payload_bytes_) : file(std::move(file_)), payload_bytes(payload_bytes_) {}

    SafetensorsHeader header;

    bool start_object(size_t) override {
        if (places.empty()) return enter(Place::root);
        if (place() == Place::root && current == kMetadata) return enter(Place::metadata);
        if (place() == Place::root) {
            entry = {};
            entry.name = current;
            fields.clear();
            return enter(Place::entry);
        }
        value("an object");
        return enter(Place::ignored);
    }
    bool end_object() override {
        if (place() == Place::entry) finish_entry();
        places.pop_back();
        return true;
    }
    bool start_array(size_t) override {
        if (place() == Place::entry && (field() == "shape" || field() == "data_offsets")) {
            offsets.clear();
            return enter(Place::numbers);
        }
        value("an array");
        return enter(Place::ignored);
    }
    bool end_array() override {
        const bool was_offsets = place() == Place::numbers && field() == "data_offsets";
        places.pop_back();
        if (was_offsets) {
            if (offsets.size() != 2) {
                fail("SYNTAX", "data_offsets holds " + std::to_string(offsets.size()) + " numbers, expected 2");
            }
            entry.begin = offsets[0];
            entry.end = offsets[1];
        }
        return true;
    }

    bool key(string_t& name) override {
        if (place() == Place::root) {
            current = name;
            if (name == kMetadata) {
                if (has_metadata) fail("DUP", "occurs twice");
                has_metadata = true;
            }
        } else if (place() == Place::metadata) {
            metadata_key = name;
            if (header.metadata.contains(name)) fail("DUP", "the key " + shown(name) + " occurs twice");
        } else if (place() == Place::entry) {
            if (std::find(fields.begin(), fields.end(), name) != fields.end()) {
                fail("DUP", "the field " + shown(name) + " occurs twice");
            }
            if (fields.size() == kMaxFields) fail("LIMIT", "has more than " + std::to_string(kMaxFields) + " fields");
            fields.push_back(name);
            const bool is_known = name == "dtype" || name == "shape" || name == "data_offsets";
            if (!is_known && header.warnings.size() < kMaxWarnings) {
                header.warnings.push_back("tensor " + shown(current) + ": the unknown field " + shown(name) +
                                          " is ignored");
            }
        }
        return true;
    }

    bool string(string_t& text) override {
        if (place() == Place::metadata) {
            header.metadata[metadata_key] = text;
        } else if (place() == Place::entry && field() == "dtype") {
            set_dtype(text);
        } else {
            value("a string");
        }
        return true;
    }
    bool number_unsigned(number_unsigned_t number) override {
        if (place() != Place::numbers) return value("a number");
        if (field() == "data_offsets") {
            if (offsets.size() == 2) fail("SYNTAX", "data_offsets holds more than 2 numbers");
            offsets.push_back(number);
        } else {
            if (entry.shape.rank == Shape::kMaxRank) {
                fail("LIMIT", "has more than " + std::to_string(Shape::kMaxRank) + " axes");
            }
            if (number > uint64_t(INT64_MAX)) fail("OVERFLOW", "has an extent of " + std::to_string(number));
            entry.shape.append(int64_t(number));
        }
        return true;
    }
    bool number_integer(number_integer_t) override { return value("a negative number"); }
    bool number_float(number_float_t, const string_t& text) override {
        const bool is_whole = text.find_first_not_of("0123456789") == std::string::npos;
        if (place() == Place::numbers && is_whole) {
            fail("OVERFLOW", shown(field()) + " holds " + shown(text) + ", more than 64 bits can count");
        }
        return value("a fraction");
    }
    bool null() override { return value("null"); }
    bool boolean(bool) override { return value("a boolean"); }
    bool binary(binary_t&) override { return value("binary data"); }

    bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) override {
        const std::string what = error.what();
        // The one way in which a header of valid UTF-8 can hold text that is not: half a pair of \u escapes.
        const bool is_surrogate = what.find("surrogate") != std::string::npos;
        throw DataError(is_surrogate ? "UTF8" : "SYNTAX", file, "byte " + std::to_string(8 + position - 1),
                        "the header is not JSON: " + what);
    }

private:
    enum class Place { root, metadata, entry, numbers, ignored };

    static constexpr size_t kMaxDepth = 64;   // of what is ignored; nothing that is known is deeper than 3
    static constexpr size_t kMaxFields = 64;  // of one tensor
    static constexpr size_t kMaxWarnings = 20;

    std::string file;
    uint64_t payload_bytes;
    std::vector<Place> places;
    std::string current;  // the tensor, or __metadata__
    std::string metadata_key;
    bool has_metadata = false;
    SafetensorsEntry entry;
    std::vector<std::string> fields;  // of this entry, so far
    std::vector<uint64_t> offsets;

    Place place() const { return places.back(); }
    const std::string& field() const { return fields.back(); }

    bool enter(Place next) {
        if (places.size() == kMaxDepth) fail("LIMIT", "is nested deeper than " + std::to_string(kMaxDepth));
        places.push_back(next);
        return true;
    }

    // A value that no known field has: let by below unknown fields, an error elsewhere.
    bool value(const char* what) {
        const auto wants = [&](const std::string& expected) {
            fail("SYNTAX", std::string("found ") + what + ", expected " + expected);
        };
        switch (place()) {
            case Place::root: wants("an object"); break;
            case Place::metadata: wants("a string for the key " + shown(metadata_key)); break;
            case Place::numbers: wants("whole numbers in " + field()); break;
            case Place::entry:
                if (field() == "dtype") wants("a string for dtype");
                if (field() == "shape" || field() == "data_offsets") wants("an array for " + field());
                break;
            case Place::ignored: break;
        }
        return true;
    }

    void set_dtype(const std::string& text) {
        const std::optional<DType> dtype = dtype_of(text);
        if (!dtype) {
            const char* reason = is_unsupported_dtype(text) ? " is valid but not supported here" : " does not exist";
            fail("DTYPE", "the type " + shown(text) + reason);
        }
        entry.dtype = *dtype;
    }

    void finish_entry() {
        for (const char* name : {"dtype", "shape", "data_offsets"}) {
            if (std::find(fields.begin(), fields.end(), name) == fields.end()) {
                fail("MISSING", std::string("has no field ") + name);
            }
        }
        std::optional<uint64_t> bytes = bytes_of(entry.dtype);
        for (int i = 0; i < entry.shape.rank && bytes; i++) {
            bytes = mul_checked(*bytes, uint64_t(entry.shape[i]));
            if (bytes && *bytes > uint64_t(INT64_MAX)) bytes.reset();  // also when a 0 is still to come
        }
        if (!bytes) fail("OVERFLOW", "the shape " + entry.shape.str() + " holds more values than 64 bits can count");
        const auto range = [this] {
            return "data_offsets [" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
        };
        if (entry.begin > entry.end) fail("OFFSET", range() + " end before they begin");
        if (entry.end > payload_bytes) {
            fail("OFFSET",
                 range() + " reach beyond the file, which has " + std::to_string(payload_bytes) + " bytes of values");
        }
        if (entry.end - entry.begin != *bytes) {
            fail("SHAPE", range() + " hold " + std::to_string(entry.end - entry.begin) + " bytes; " +
                              std::string(name_of(entry.dtype)) + " " + entry.shape.str() + " takes " +
                              std::to_string(*bytes));
        }
        if (header.tensors.size() == kMaxTensors) {
            fail("LIMIT", "is one more than the " + std::to_string(kMaxTensors) + " tensors that are accepted");
        }
        header.tensors.push_back(std::move(entry));
    }

    [[noreturn]] void fail(const char* kind, const std::string& problem) const {
        throw DataError(kind, file, current == kMetadata ? "header, __metadata__" : "header, tensor " + shown(current),
                        problem);
    }
};

void check_names(const std::vector<SafetensorsEntry>& tensors, const std::string& file) {
    std::vector<std::string_view> names;
    names.reserve(tensors.size());
    for (const SafetensorsEntry& t : tensors) names.push_back(t.name);
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) throw DataError("DUP", file, "header, tensor " + shown(*twin), "occurs twice");
}

// Every byte of the payload belongs to one tensor. `tensors` are sorted by place.
void check_cover(const std::vector<SafetensorsEntry>& tensors, uint64_t payload_bytes, const std::string& file) {
    uint64_t end = 0;
    for (const SafetensorsEntry& t : tensors) {
        if (t.begin != end) {
            throw DataError("OFFSET", file, "header, tensor " + shown(t.name),
                            "begins at byte " + std::to_string(t.begin) + " of the payload, " +
                                (t.begin < end ? "inside" : "not at the end of") +
                                " the tensor before it, which ends at " + std::to_string(end));
        }
        end = t.end;
    }
    if (end != payload_bytes) {
        throw DataError("OFFSET", file, "header",
                        "the tensors end at byte " + std::to_string(end) + " of the payload, the file at byte " +
                            std::to_string(payload_bytes));
    }
}

}  // namespace

uint64_t safetensors_header_length(std::span<const uint8_t> start, uint64_t file_bytes, const std::string& file) {
    ByteReader in(start, file);
    const uint64_t length = in.le64("the length of the safetensors header");
    const std::string found = "the header's length is given as " + std::to_string(length);
    if (!add_checked(length, 8)) in.fail_at(0, "OVERFLOW", found + ", more than 64 bits can count");
    if (length > kMaxHeaderBytes) {
        in.fail_at(
            0, "LIMIT",
            found + "; at most " + std::to_string(kMaxHeaderBytes) + " are accepted (is this a safetensors file?)");
    }
    if (length + 8 > file_bytes) {
        in.fail_at(0, "TRUNC", found + ", but the file has " + std::to_string(file_bytes) + " bytes");
    }
    if (length == 0) in.fail_at(0, "SYNTAX", "the header is empty, expected a JSON object");
    return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t payload_bytes, const std::string& file) {
    const auto fail = [&](size_t at, const char* kind, const char* problem) {
        throw DataError(kind, file, "byte " + std::to_string(8 + at), problem);
    };
    const size_t n_valid = utf8_valid_prefix(json);
    if (n_valid < json.size()) fail(n_valid, "UTF8", "the header is not UTF-8");
    // The JSON parser takes a NUL for the end of its input and skips a byte order mark: neither may be there.
    const size_t nul = json.find('\0');
    if (nul != json.npos) fail(nul, "SYNTAX", "the header holds a NUL");
    const size_t first = json.find_first_not_of(" \t\r\n");
    if (first == json.npos || json[first] != '{') {
        fail(std::min(first, json.size()), "SYNTAX", "the header does not begin with {");
    }

    // An entry is twice as long in memory as it has to be in the file: they are counted first, and too many are refused
    // before any of them is made. Text in the metadata counts as well, and does no harm unless it is written for that.
    constexpr std::string_view kField = "\"data_offsets\"";
    size_t n_tensors = 0;
    for (size_t at = json.find(kField); at != json.npos; at = json.find(kField, at + kField.size())) n_tensors++;
    if (n_tensors > kMaxTensors) {
        throw DataError("LIMIT", file, "header",
                        "has " + std::to_string(n_tensors) + " data_offsets; at most " + std::to_string(kMaxTensors) +
                            " tensors are accepted");
    }

    HeaderParser parser(file, payload_bytes);
    parser.header.tensors.reserve(n_tensors);
    nlohmann::json::sax_parse(json, &parser);
    SafetensorsHeader& header = parser.header;
    std::sort(header.tensors.begin(), header.tensors.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    check_names(header.tensors, file);
    check_cover(header.tensors, payload_bytes, file);
    return std::move(header);
}

std::string format_safetensors_header(const SafetensorsHeader& header) {
    std::vector<std::string_view> names;
    const auto quoted = [](const std::string& text) {
        if (utf8_valid_prefix(text) < text.size()) throw ValueError("safetensors: " + shown(text) + " is not UTF-8");
        return nlohmann::json(text).dump();
    };
    std::string json = "{";
    const auto separate = [&json] { return json.back() == '{' ? "" : ","; };
    if (!header.metadata.empty()) {
        json += "\"__metadata__\":{";
        for (const auto& [key, text] : header.metadata) json += separate() + quoted(key) + ":" + quoted(text);
        json += "}";
    }
    for (const SafetensorsEntry& t : header.tensors) {
        if (t.name == kMetadata) throw ValueError("safetensors: a tensor cannot be called __metadata__");
        names.push_back(t.name);
        json += separate() + quoted(t.name) + ":{\"dtype\":\"" + std::string(name_of(t.dtype)) + "\",\"shape\":[";
        for (int i = 0; i < t.shape.rank; i++) json += (i ? "," : "") + std::to_string(t.shape[i]);
        json += "],\"data_offsets\":[" + std::to_string(t.begin) + "," + std::to_string(t.end) + "]}";
    }
    json += "}";
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) throw ValueError("safetensors: two tensors are called " + shown(*twin));

    json.resize((json.size() + 7) / 8 * 8, ' ');
    std::string length(8, '\0');
    const uint64_t n = json.size();
    std::memcpy(length.data(), &n, 8);
    return length + json;
}

}  // namespace koine

// Strict JSON; see json.h.
#include "data/json.h"

#include <cmath>
#include <unordered_set>
#include <vector>

#include "data/bytes.h"
#include "data/strangers.h"
#include "data/text_hash.h"

namespace koine {

std::string shown(std::string_view text) {
    constexpr size_t kShown = 80;
    return Json(std::string(text.substr(0, kShown))).dump(-1, ' ', true, Json::error_handler_t::replace) +
           (text.size() > kShown ? "..." : "");
}

namespace {

// Builds the tree from the events of the parser, which checks the grammar. nlohmann-json has such a builder of its own;
// this one also sees depth, number of values and keys that come twice while there is still time to stop.
class TreeBuilder : public nlohmann::json_sax<Json> {
public:
    explicit TreeBuilder(std::string file_) : file(std::move(file_)) {}

    Json root;

    bool null() override { return add(nullptr); }
    bool boolean(bool v) override { return add(v); }
    bool number_integer(number_integer_t v) override { return add(v); }
    bool number_unsigned(number_unsigned_t v) override { return add(v); }
    bool number_float(number_float_t v, const string_t&) override { return add(v); }
    bool string(string_t& v) override { return add(std::move(v)); }
    bool binary(binary_t&) override { return false; }  // JSON has none

    bool start_object(size_t) override {
        enter(Json::object());
        keys.emplace_back();
        return true;
    }
    bool key(string_t& name) override {
        if (!keys.back().insert(name).second) {
            throw DataError("DUP", file, "", "the key " + shown(name) + " occurs twice in one object");
        }
        slot = &open.back()->get_ref<Json::object_t&>()[name];
        return true;
    }
    bool end_object() override {
        keys.pop_back();
        return leave();
    }
    bool start_array(size_t) override {
        enter(Json::array());
        return true;
    }
    bool end_array() override { return leave(); }

    bool parse_error(size_t position, const std::string&, const Json::exception& error) override {
        const std::string what = error.what();
        const bool is_encoding = what.find("UTF-8") != std::string::npos || what.find("surrogate") != std::string::npos;
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
        const size_t start = what.find("parse error");
        throw DataError(is_encoding ? "UTF8" : "SYNTAX", file, "byte " + std::to_string(position ? position - 1 : 0),
                        "is not JSON: " + (start == std::string::npos ? what : what.substr(start)));
    }

private:
    std::string file;
    std::vector<Json*> open;                                      // the objects and arrays around the next value
    std::vector<std::unordered_set<std::string, TextHash>> keys;  // of the objects among them
    Json* slot = nullptr;                                         // where the value of the last key goes
    size_t n_values = 0;

    Json* put(Json value) {
        if (++n_values > kMaxJsonValues) {
            throw DataError("LIMIT", file, "", "holds more than " + std::to_string(kMaxJsonValues) + " values");
        }
        if (open.empty()) {
            root = std::move(value);
            return &root;
        }
        if (open.back()->is_array()) {
            auto& array = open.back()->get_ref<Json::array_t&>();
            array.push_back(std::move(value));
            return &array.back();
        }
        *slot = std::move(value);
        return slot;
    }
    bool add(Json value) {
        put(std::move(value));
        return true;
    }
    void enter(Json container) {
        if (open.size() == kMaxJsonDepth) {
            throw DataError("LIMIT", file, "", "is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
        }
        open.push_back(put(std::move(container)));
    }
    bool leave() {
        open.pop_back();
        return true;
    }
};

std::string kind_of(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    return value.is_string() ? shown(value.get_ref<const std::string&>()) : value.dump();
}

}  // namespace

Json parse_json(std::string_view text, const std::string& file) {
    // nlohmann-json passes over a byte order mark itself, and counts its bytes: it gets the whole text.
    const std::string_view content = text.substr(text.starts_with("\xef\xbb\xbf") ? 3 : 0);
    refuse_strangers(content, file, "JSON");
    if (content.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        throw DataError("SYNTAX", file, "", "is empty, expected JSON");
    }
    TreeBuilder builder(file);
    Json::sax_parse(text, &builder);
    return std::move(builder.root);
}

Json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
    return parse_json(read_text(path.string(), max_bytes), path.string());
}

// ---- JsonObject ---------------------------------------------------------------------------------------------------

JsonObject::JsonObject(const Json& json_, std::string file_, std::string where_)
    : object_(json_), file_name(std::move(file_)), where(std::move(where_)) {
    if (!object_.is_object()) {
        const std::string place = where.empty() ? "" : "field " + where.substr(0, where.size() - 1);
        throw DataError("SYNTAX", file_name, place, "is " + kind_of(object_) + ", expected an object");
    }
}

void JsonObject::fail(const char* kind, const std::string& name, const std::string& problem) const {
    throw DataError(kind, file_name, "field " + where + name, problem);
}

bool JsonObject::has(const std::string& name) const {
    const auto found = object_.find(name);
    return found != object_.end() && !found->is_null();
}

const Json& JsonObject::value(const std::string& name) const {
    if (!has(name)) fail("MISSING", name, "is not there");
    return *object_.find(name);
}

const std::string& JsonObject::text(const std::string& name) const {
    const Json& v = value(name);
    if (!v.is_string()) fail("VALUE", name, "is " + kind_of(v) + ", expected a string");
    return v.get_ref<const std::string&>();
}

int64_t JsonObject::whole(const std::string& name, int64_t low, int64_t high) const {
    const Json& v = value(name);
    const bool fits = v.is_number_unsigned() ? v.get<uint64_t>() <= uint64_t(INT64_MAX) : v.is_number_integer();
    if (!fits || v.get<int64_t>() < low || v.get<int64_t>() > high) {
        fail("VALUE", name,
             "is " + kind_of(v) + (v.is_string() ? " (a string)" : "") + ", expected a whole number from " +
                 std::to_string(low) + " to " + std::to_string(high));
    }
    return v.get<int64_t>();
}

double JsonObject::number(const std::string& name) const {
    const Json& v = value(name);
    if (!v.is_number() || !std::isfinite(v.get<double>())) {
        fail("VALUE", name, "is " + kind_of(v) + ", expected a number");
    }
    return v.get<double>();
}

bool JsonObject::flag(const std::string& name) const {
    const Json& v = value(name);
    if (!v.is_boolean()) fail("VALUE", name, "is " + kind_of(v) + ", expected true or false");
    return v.get<bool>();
}

const Json& JsonObject::array(const std::string& name) const {
    const Json& v = value(name);
    if (!v.is_array()) fail("VALUE", name, "is " + kind_of(v) + ", expected an array");
    return v;
}

JsonObject JsonObject::object(const std::string& name) const {
    return JsonObject(value(name), file_name, where + name + ".");
}

std::vector<JsonObject> JsonObject::objects(const std::string& name) const {
    std::vector<JsonObject> out;
    for (const Json& element : array(name)) {
        out.emplace_back(element, file_name, where + name + "[" + std::to_string(out.size()) + "].");
    }
    return out;
}

std::string JsonObject::text(const std::string& name, const std::string& otherwise) const {
    return has(name) ? text(name) : otherwise;
}
int64_t JsonObject::whole(const std::string& name, int64_t low, int64_t high, int64_t otherwise) const {
    return has(name) ? whole(name, low, high) : otherwise;
}
double JsonObject::number(const std::string& name, double otherwise) const {
    return has(name) ? number(name) : otherwise;
}
bool JsonObject::flag(const std::string& name, bool otherwise) const { return has(name) ? flag(name) : otherwise; }

}  // namespace koine

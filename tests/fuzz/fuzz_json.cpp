// Fuzz target: JSON alone, and the fields of an object. The input is the text.
// A DataError is the right answer to a damaged text. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted is accepted by nlohmann-json, too, has the same value there, and is the same after it was
// written; what a field is said to be, it is.
#include "data/json.h"

#include <cmath>

#include "data/utf8.h"
#include "tensor/error.h"
#include "tests/fuzz/fuzz_file.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// Asks every field in one of the ways there are. `n` counts them: an error for each way and field would take most of
/// the time.
void ask(const JsonObject& object, size_t& n) {
    for (const auto& [key, value] : object.json().items()) {
        const std::string& name = key;
        must(object.has(name) == !value.is_null());
        try {
            switch ((n++ + name.size()) % 7) {
                case 0: must(utf8_valid_prefix(object.text(name)) == object.text(name).size()); break;
                case 1: {
                    const int64_t whole = object.whole(name, -7, 1'000'000);
                    must(whole >= -7 && whole <= 1'000'000);
                    break;
                }
                case 2: must(std::isfinite(object.number(name))); break;
                case 3: object.flag(name); break;
                case 4: must(object.array(name).is_array()); break;
                case 5: ask(object.object(name), n); break;
                default: {
                    for (const JsonObject& inner : object.objects(name)) ask(inner, n);
                }
            }
        } catch (const DataError&) {
        }
    }
    must(object.whole("no such field", 0, 1, 1) == 1 || object.has("no such field"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = text_of({data, size});
    try {
        const Json json = parse_json(text, "memory");
        must(Json::parse(text) == json);
        must(parse_json(json.dump(), "written") == json);
        must(utf8_valid_prefix(shown(text)) == shown(text).size());
        size_t n = 0;
        ask(JsonObject(json, "memory"), n);
    } catch (const DataError&) {
    }
    return 0;
}

// data/json.h: what JSON from elsewhere may and may not be. Catalogue rows J1 to J4, A23.
#include "data/json.h"

#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check_parse(const std::string& text, const std::string& kind, const std::string& part) {
    INFO(text.substr(0, 60));
    check_refused([&] { parse_json(text, "x.json"); }, kind, part);
}

}  // namespace

TEST_CASE("JSON as RFC 8259 has it becomes a tree", "[json]") {
    const Json json =
        parse_json(R"({"a": [1, -2, 2.5, true, null, "\u00e9\ud83d\ude00"], "b": {"c": {}}, "": []})", "x.json");
    CHECK(json.at("a").at(0) == 1);
    CHECK(json.at("a").at(1) == -2);
    CHECK(json.at("a").at(2) == 2.5);
    CHECK(json.at("a").at(3) == true);
    CHECK(json.at("a").at(4).is_null());
    CHECK(json.at("a").at(5) == "\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(json.at("b").at("c").empty());
    CHECK(json.at("").is_array());
    CHECK(parse_json(" 7 ", "x.json") == 7);
}

TEST_CASE("What is not JSON is refused with its place", "[json][J1]") {
    check_parse("", "SYNTAX", "is empty");
    const std::string mark = "\xef\xbb\xbf";  // a byte order mark
    CHECK_OK(parse_json(mark + "[1]", "x.json").at(0) == 1);
    check_parse(mark, "SYNTAX", "is empty");
    check_parse(mark + "[1,]", "SYNTAX", "byte 6");
    check_parse(mark + mark + "[1]", "SYNTAX", "byte 3");
    check_parse(" \n ", "SYNTAX", "is empty");
    check_parse(R"({"a": 1,})", "SYNTAX", "byte 8");
    check_parse("{\"a\": 1 // one\n}", "SYNTAX", "byte 8");
    check_parse(R"({"a": NaN})", "SYNTAX", "byte 6");
    check_parse(R"({'a': 1})", "SYNTAX", "byte 1");
    check_parse(R"({"a": 1} x)", "SYNTAX", "byte 9");
    check_parse(R"({"a": 1)", "SYNTAX", "x.json");
    check_parse("[1e999]", "SYNTAX", "x.json");
    check_parse("[\"\xff\"]", "UTF8", "byte 2");
    check_parse(R"(["\ud800"])", "UTF8", "byte");
    check_parse(std::string("\xff\xfe{\0}\0", 6), "MAGIC", "UTF-16");
    check_parse("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "MAGIC", "Git LFS");
    check_parse("\n<!DOCTYPE html>", "MAGIC", "HTML");
    check_parse(mark + "<html>", "MAGIC", "HTML");
}

TEST_CASE("Deep and endless JSON is refused before it costs anything", "[json][J2][A23]") {
    CHECK_NOTHROW(parse_json(std::string(128, '[') + std::string(128, ']'), "x.json"));
    check_parse(std::string(129, '['), "LIMIT", "128");
    check_parse(std::string(100'000, '['), "LIMIT", "128");
    std::string objects;
    for (int i = 0; i < 100'000; i++) objects += "{\"a\":";
    check_parse(objects, "LIMIT", "128");
    std::string many = "[0";
    while (many.size() < 2 * kMaxJsonValues) many += ",0";
    check_parse(many + "]", "LIMIT", "8000000");
}

TEST_CASE("A key that comes twice is refused", "[json][J3]") {
    check_parse(R"({"a": 1, "a": 1})", "DUP", "\"a\"");
    check_parse(R"({"a": {"b": 1, "c": 2, "b": 3}})", "DUP", "\"b\"");
    CHECK_NOTHROW(parse_json(R"({"a": {"a": 1}, "b": {"a": 1}})", "x.json"));
}

TEST_CASE("A field of the wrong kind is named", "[json][J4]") {
    const Json json = parse_json(
        R"({"n": 12, "s": "768", "f": 1.5, "huge": 1e308, "past": 18446744073709551615, "neg": -1, "o": {"x": []}, "t": true, "z": null})",
        "config.json");
    const JsonObject o(json, "config.json");
    CHECK(o.whole("n", 1, 12) == 12);
    CHECK(o.whole("absent", 1, 12, 7) == 7);
    CHECK(o.whole("z", 1, 12, 7) == 7);
    CHECK_OK(o.number("n") == 12);
    CHECK(o.number("absent", 0.5) == 0.5);
    CHECK(o.text("s") == "768");
    CHECK(o.text("absent", "x") == "x");
    CHECK(o.flag("t"));
    CHECK(o.flag("absent", false) == false);
    CHECK(!o.has("z"));
    check_refused([&] { (void)o.whole("n", 1, 11); }, "VALUE",
                  "config.json: field n: is 12, expected a whole number from 1 to 11");
    check_refused([&] { (void)o.whole("s", 1, 1000); }, "VALUE", "is \"768\" (a string), expected a whole number");
    check_refused([&] { (void)o.whole("f", 1, 1000); }, "VALUE", "field f: is 1.5");
    check_refused([&] { (void)o.whole("huge", 1, 1000); }, "VALUE", "field huge");
    check_refused([&] { (void)o.whole("past", 1, INT64_MAX); }, "VALUE", "18446744073709551615");
    check_refused([&] { (void)o.whole("neg", 0, 1000); }, "VALUE", "field neg: is -1");
    check_refused([&] { (void)o.whole("absent", 0, 1); }, "MISSING", "field absent: is not there");
    check_refused([&] { (void)o.text("n"); }, "VALUE", "expected a string");
    check_refused([&] { (void)o.flag("n"); }, "VALUE", "expected true or false");
    check_refused([&] { (void)o.array("o"); }, "VALUE", "is an object, expected an array");
    check_refused([&] { (void)o.object("o").object("x"); }, "SYNTAX", "field o.x: is an array, expected an object");
    check_refused([&] { (void)o.object("o").whole("y", 0, 1); }, "MISSING", "field o.y");
}

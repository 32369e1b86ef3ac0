// data/torch_pickle.h and data/pickle.h: what torch.save writes, and what attackers write. Catalogue rows P1 to P16,
// P19 to P23; zip archives as such are in test_zip.cpp. Real files are tests/golden/torch, by make_torch_golden.py.
#include <chrono>
#include <cmath>

#include "data/pickle.h"
#include "data/torch_pickle.h"
#include "tests/golden/golden.h"
#include "tests/torch_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

struct Loaded {
    std::vector<WeightEntry> entries;
    std::vector<std::vector<real>> values;
    std::vector<std::string> warnings;
};

Loaded load_file(const std::string& path) {
    const auto file = open_torch_file(path);
    Loaded all{file->entries(), {}, {}};
    for (size_t i = 0; i < file->entries().size(); i++) {
        all.values.emplace_back(size_t(file->entries()[i].shape.numel()));
        file->read(i, all.values.back());
    }
    all.warnings = file->warnings();
    return all;
}

Loaded load(const Bytes& file) {
    const ScratchFolder folder;
    return load_file(folder.write("x.bin", file));
}

void check_file(const Bytes& file, const std::string& kind, const std::string& part) {
    check_refused([&] { load(file); }, kind, part);
}

const Storages kSix{{"0", f32_bytes({0, 1, 2, 3, 4, 5})}};
const std::string kMatrix = pk::tensor(pk::storage("0", 6), 0, {2, 3}, {3, 1});

/// A file with one storage of six numbers, in both layouts; both must be refused alike.
void check_both(const std::string& program, const std::string& kind, const std::string& part) {
    INFO("zip");
    check_file(torch_zip(program, kSix), kind, part);
    INFO("legacy");
    check_file(torch_legacy(program, kSix), kind, part);
}
/// The same for the value of one entry of a state dict.
void check_value(const std::string& value, const std::string& kind, const std::string& part) {
    check_both(pk::program(pk::state({{"w", value}})), kind, part);
}
void check_tensor(int64_t offset, const std::vector<int64_t>& size, const std::vector<int64_t>& stride,
                  const std::string& kind, const std::string& part) {
    check_value(pk::tensor(pk::storage("0", 6), offset, size, stride), kind, part);
}

/// A program alone, which must be refused, and within a second.
void check_program(const std::string& program, const std::string& kind, const std::string& part) {
    const auto start = std::chrono::steady_clock::now();
    const Bytes bytes = bytes_of(program);
    check_refused(
        [&] {
            ByteReader in(bytes, "p");
            read_pickle(in, bytes.size());
        },
        kind, part);
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 10);
}
std::string repeated(const std::string& text, size_t n) {
    std::string out;
    out.reserve(text.size() * n);
    for (size_t i = 0; i < n; i++) out += text;
    return out;
}
const std::string kStart = "\x80\x02";

}  // namespace

TEST_CASE("files that PyTorch wrote hold what PyTorch says", "[torch_pickle][golden][P23][A18]") {
    const auto files = golden("torch/values.json");
    REQUIRE(files.size() == 10);
    for (const auto& [name, file] : files.items()) {
        INFO(name);
        const Loaded got = load_file(std::string(KOINE_SOURCE_DIR) + "/tests/golden/torch/" + name + ".bin");
        REQUIRE(got.entries.size() == file["tensors"].size());
        for (size_t i = 0; i < got.entries.size(); i++) {
            const auto& want = file["tensors"][i];
            INFO(want["name"]);
            CHECK(got.entries[i].name == want["name"]);
            CHECK(name_of(got.entries[i].dtype) == want["dtype"].get<std::string>());
            CHECK(got.entries[i].shape.str() == [&] {
                Shape shape;
                for (const int64_t extent : want["shape"]) shape.append(extent);
                return shape.str();
            }());
            REQUIRE(got.values[i].size() == want["values"].size());
            for (size_t j = 0; j < got.values[i].size(); j++) {
                CHECK(got.values[i][j] == real(std::stod(want["values"][j].get<std::string>())));
            }
        }
    }
    const std::string folder = std::string(KOINE_SOURCE_DIR) + "/tests/golden/torch/";
    CHECK(load_file(folder + "module.bin").warnings.empty());
    CHECK(std::signbit(load_file(folder + "specials.bin").values[0][3]));
    CHECK(load_file(folder + "mixed.bin").warnings ==
          std::vector<std::string>{
              "entry \"step\" is a whole number, no tensor: not read", "entry \"lr\" is a number, no tensor: not read",
              "entry \"name\" is a text, no tensor: not read", "entry \"betas\" is a tuple, no tensor: not read",
              "an entry whose name is a whole number is not read"});
    CHECK(load_file(folder + "wrapped.bin").warnings ==
          std::vector<std::string>{
              "the tensors are those of the entry \"state_dict\"; not read: \"epoch\", \"optimizer\""});
}

TEST_CASE("P23: tensors of other kinds are refused by name", "[torch_pickle][P23]") {
    const std::string folder = std::string(KOINE_SOURCE_DIR) + "/tests/golden/torch/";
    const auto check = [&](const char* file, const char* kind, const char* part) {
        check_refused([&] { load_file(folder + file + std::string(".bin")); }, kind, part);
    };
    check("sparse", "DTYPE", "torch._utils._rebuild_sparse_tensor");
    check("quantised", "DTYPE", "torch._utils._rebuild_qtensor");
    check("complex", "DTYPE", "torch.ComplexFloatStorage");
    check("float8", "DTYPE", "torch._utils._rebuild_tensor_v3");
    check("whole_module", "UNSAFE", "torch.nn.modules.linear.Linear");
    check_value(pk::global("torch.storage", "UntypedStorage"), "DTYPE", "torch.storage.UntypedStorage");
    // Values that a type does not have: a boolean of 2; in float, a whole number beyond 2^24.
    const auto one = [](const std::string& type, const Bytes& value) {
        return torch_zip(pk::program(pk::state({{"w", pk::tensor(pk::storage("0", 1, type), 0, {1}, {1})}})),
                         {{"0", value}});
    };
    CHECK(load(one("BoolStorage", {1})).values[0][0] == 1);
    check_file(one("BoolStorage", {2}), "VALUE", "value 0 of type BOOL");
    CHECK_OK(load(one("BFloat16Storage", {0x20, 0xc0})).values[0][0] == real(-2.5));
    if (sizeof(real) == 4) check_file(one("LongStorage", {1, 0, 0, 1, 0, 0, 0, 0}), "VALUE", "value 0 of type I64");
}

TEST_CASE("both layouts are read, and read again", "[torch_pickle]") {
    const std::string program = pk::program(
        pk::state({{"w", kMatrix}, {"column", pk::tensor(pk::storage("0", 6), 1, {2}, {3})}, {"none", kMatrix}}));
    for (const Bytes& bytes : {torch_zip(program, kSix), torch_legacy(program, kSix)}) {
        const ScratchFolder folder;
        const auto file = open_torch_file(folder.write("x", bytes));
        REQUIRE(file->entries().size() == 3);
        CHECK(file->entries()[0].shape == Shape{2, 3});
        std::vector<real> six(6), two(2), one(1);
        for (int round = 0; round < 2; round++) {
            file->read(1, two);
            CHECK(two == std::vector<real>{1, 4});
            file->read(0, six);
            CHECK(six == std::vector<real>{0, 1, 2, 3, 4, 5});
        }
        CHECK_ERROR(file->read(0, one), ValueError, "[2, 3]");
        CHECK_ERROR(file->read(3, one), ValueError, "tensor 3 of 3");
    }
    CHECK(load(torch_zip(pk::program(pk::state({{"w", kMatrix}})), {{"0", f32_bytes({0, 1, 2, 3, 4, 5})}}))
              .values[0][5] == 5);
}

TEST_CASE("a checksum is checked once for each storage, whichever part of it is read first", "[torch_pickle][P18]") {
    const std::string program = pk::program(pk::state({{"first", pk::tensor(pk::storage("0", 6), 0, {1}, {1})},
                                                       {"all", kMatrix},
                                                       {"other", pk::tensor(pk::storage("1", 1), 0, {1}, {1})}}));
    auto entries = torch_entries(program, {kSix[0], {"1", f32_bytes({7})}});
    const ZipLayout zip = zip_archive(entries);
    Bytes bad = zip.bytes;
    bad[zip.data[3] + 20] ^= 1;  // the last number of storage 0
    const ScratchFolder folder;
    const auto file = open_torch_file(folder.write("x", bad));
    std::vector<real> one(1), six(6);
    for (int round = 0; round < 2; round++) {
        CHECK(kind_of([&] { file->read(0, one); }) == "VALUE");
        CHECK(kind_of([&] { file->read(1, six); }) == "VALUE");
        CHECK(kind_of([&] { file->read(2, one); }) == "");
    }
    // Deflated, as other programs pack it again, and a pickle that is damaged.
    for (ZipSample& entry : entries) entry.is_deflated = true;
    CHECK(load(zip_archive(entries).bytes).values[1] == std::vector<real>{0, 1, 2, 3, 4, 5});
    Bytes bad_pickle = zip.bytes;
    bad_pickle[zip.data[0] + 30] ^= 1;
    check_file(bad_pickle, "VALUE", "\"m/data.pkl\" is damaged");
}

TEST_CASE("P1: names of functions that would be called", "[torch_pickle][P1]") {
    for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                                                       {"posix", "system"},
                                                                                       {"nt", "system"},
                                                                                       {"builtins", "eval"},
                                                                                       {"builtins", "exec"},
                                                                                       {"__builtin__", "getattr"},
                                                                                       {"subprocess", "Popen"},
                                                                                       {"runpy", "_run_code"},
                                                                                       {"webbrowser", "open"}}) {
        const std::string call = pk::call(pk::global(module, name), {pk::text("id")});
        check_value(call, "UNSAFE", "asks for \"" + module + "." + name + "\"");
        check_value(pk::global(module, name), "UNSAFE", "nothing of the file was executed");
        // In front of a good state dict, behind it, in its _metadata, and in the other pickles of the legacy layout.
        check_both(kStart + call + pk::state({{"w", kMatrix}}) + ".", "UNSAFE", module);
        check_both(kStart + pk::state({{"w", kMatrix}}) + pk::dict({{pk::text("_metadata"), call}}) + "b.", "UNSAFE",
                   name);
        check_file(bytes_of(kLegacyMagic + pk::program(call)), "UNSAFE", module);
        check_file(bytes_of(legacy_head(call)), "UNSAFE", module);
        check_file(bytes_of(legacy_head() + pk::program(pk::empty_dict) + pk::program(call)), "UNSAFE", module);
    }
}

TEST_CASE("P2: other ways to import and to call", "[torch_pickle][P2][A4]") {
    const std::string names = pk::text("os") + pk::text("system");
    check_value(names + "\x93", "UNSAFE", "0x93 (STACK_GLOBAL)");
    check_value(pk::text("os") + "q\x05" + pk::text("system") + "q\x06h\x05h\x06\x93", "UNSAFE", "STACK_GLOBAL");
    check_value("(ios\nsystem\n", "UNSAFE", "0x69 (INST)");
    check_value("(" + pk::text("x") + "o", "UNSAFE", "0x6f (OBJ)");
    check_value(pk::global("collections", "OrderedDict") + ")\x81", "UNSAFE", "0x81 (NEWOBJ)");
    check_value(")}\x92", "UNSAFE", "0x92 (NEWOBJ_EX)");
    check_value("\x82\x01", "UNSAFE", "(EXT1)");
    check_value(std::string("\x83\x01\x00", 3), "UNSAFE", "(EXT2)");
    check_value("\x84" + le(1, 4), "UNSAFE", "(EXT4)");
    check_value("P0\n", "UNSAFE", "(PERSID)");
    for (int opcode = 0; opcode < 256; opcode++) {
        const std::string known = "(.N\x88\x89JKM\x8a\x8bGXU)\x85\x86\x87t]ae}suqrhjcRbQ";
        if (known.find(char(opcode)) == known.npos) {
            check_program(kStart + char(opcode), "UNSAFE", "(nothing of the file was executed)");
        }
    }
}

TEST_CASE("P3: names that only look like those on the list", "[torch_pickle][P3]") {
    const auto check = [](const std::string& package, const std::string& name) {
        INFO(package << " " << name);
        check_value(pk::call(pk::global(package, name), {pk::text("id")}), "UNSAFE", "which is not on the list");
    };
    check("torch.storage", "os.system");
    check("torch._utils", "_rebuild_tensor_v2.__globals__");
    check("torch._utils", "_rebuild_tensor_v2 ");
    check("torch._utils", "torch.load");
    check("torch._utils.os", "system");
    check("torch", "load");
    check("torch.hub", "load");
    check("torch.jit", "load");
    check("torch.serialization", "load");
    check("torch._dynamo.guards", "GuardBuilder.get");
    check("numpy", "load");
    check("numpy.testing._private.utils", "runstring");
    check("collections", "ordereddict");
    check("collections", "OrderedDict\r");
    check("Collections", "OrderedDict");
    check("c\xd0\xbellections", "OrderedDict");  // a Cyrillic o
    check("", "");
    check_value("c" + std::string(300, 'm') + "\nx\n", "LIMIT", "the name of a module");
}

TEST_CASE("P4: functions on the list with wrong arguments", "[torch_pickle][P4]") {
    const std::string storage = pk::storage("0", 6), rebuild = pk::global("torch._utils", "_rebuild_tensor_v2");
    const std::string zero = pk::whole(0), two = pk::numbers({2}), one = pk::numbers({1}), hooks = pk::ordered_dict();
    const auto check = [&](const std::string& function, const std::vector<std::string>& args, const char* part) {
        check_value(pk::call(function, args), "VALUE", part);
    };
    check(rebuild, {}, "0 arguments for a function, expected 6");
    check(rebuild, {storage, zero, two, one, pk::no}, "5 arguments");
    check(rebuild, {storage, zero, two, one, pk::no, hooks, pk::none, pk::none}, "8 arguments");
    check(rebuild, {pk::text("0"), zero, two, one, pk::no, hooks}, "argument 1 is a text, expected a storage");
    check(rebuild, {storage, pk::none, two, one, pk::no, hooks}, "argument 2 is None, expected an offset");
    check(rebuild, {storage, zero, zero, one, pk::no, hooks}, "argument 3 is a whole number");
    check(rebuild, {storage, zero, two, pk::list({zero}), pk::no, hooks}, "argument 4 is a list");
    check(rebuild, {storage, zero, pk::tuple({pk::text("2")}), one, pk::no, hooks}, "argument 1 is a text");
    check(rebuild, {storage, zero, pk::tuple({pk::yes}), one, pk::no, hooks}, "argument 1 is a boolean");
    check(rebuild, {storage, zero, two, one, zero, hooks}, "argument 5 is a whole number");
    check(rebuild, {storage, zero, two, one, pk::no, pk::none}, "argument 6 is None, expected a dict of hooks");
    check(pk::global("torch._utils", "_rebuild_parameter"), {pk::none, pk::no, hooks}, "expected a tensor");
    check(pk::global("torch._utils", "_rebuild_parameter"), {kMatrix}, "1 arguments");
    check(pk::global("collections", "OrderedDict"), {pk::list({zero})}, "1 arguments");
    check(pk::global("torch", "Size"), {pk::list({zero})}, "argument 1 is a list");
    check(pk::global("torch", "Size"), {pk::tuple({pk::none})}, "argument 1 is None");
    check_value(rebuild + pk::list({storage}) + pk::reduce, "VALUE", "the arguments are a list");
    check_value(pk::global("torch", "FloatStorage") + pk::numbers({6}) + pk::reduce, "UNSAFE",
                "calls a type of storage");
    check_value(pk::text("os.system") + pk::empty_tuple + pk::reduce, "UNSAFE", "calls a text");
    // What is right: metadata as a seventh argument, torch.Size, a parameter.
    const std::string good = pk::call(rebuild, {storage, zero, two, one, pk::no, hooks, pk::empty_dict});
    const Loaded got =
        load(torch_zip(pk::program(pk::state(
                           {{"a", good},
                            {"b", pk::call(pk::global("torch._utils", "_rebuild_parameter"), {good, pk::yes, hooks})},
                            {"c", pk::call(pk::global("torch", "Size"), {two})}})),
                       kSix));
    CHECK_OK(got.values == std::vector<std::vector<real>>{{0, 1}, {0, 1}});
    CHECK(mentions(got.warnings.at(0), "\"c\" is a tuple"));
}

TEST_CASE("P5: objects that would get a state", "[torch_pickle][P5]") {
    const std::string state = pk::dict({{pk::text("__setstate__"), pk::text("x")}});
    for (const std::string& target : {kMatrix, pk::list({}), std::string("}"), pk::text("x"), pk::empty_tuple,
                                      pk::global("torch", "Size"), pk::storage("0", 6)}) {
        check_value(target + state + "b", "UNSAFE", "sets the state of");
    }
    check_value(pk::ordered_dict() + pk::empty_tuple + "b", "UNSAFE", "to a tuple");
    check_value(pk::ordered_dict() + pk::dict({{pk::whole(1), pk::none}}) + "b", "UNSAFE",
                "an attribute whose name is");
    std::string many = pk::ordered_dict();
    for (int i = 0; i < 65; i++) many += state + "b";
    check_value(many, "LIMIT", "too many attributes");
    // Of a state dict they are ignored, and listed unless they are those that PyTorch sets.
    const std::string attributes = pk::dict({{pk::text("_metadata"), "}"}, {pk::text("__class__"), pk::text("os")}});
    const Loaded got = load(torch_zip(kStart + pk::state({{"w", kMatrix}}) + attributes + "b.", kSix));
    CHECK(got.values.size() == 1);
    CHECK_OK(got.warnings == std::vector<std::string>{"the attribute \"__class__\" of the state dict is not read"});
}

TEST_CASE("P6: items of what has none", "[torch_pickle][P6]") {
    const std::string item = pk::whole(0) + pk::whole(1);
    check_value(kMatrix + item + "s", "SYNTAX", "sets an item of a tensor");  // CVE-2026-24747
    check_value(kMatrix + "(" + item + "u", "SYNTAX", "sets an item of a tensor");
    check_value(pk::storage("0", 6) + item + "s", "SYNTAX", "sets an item of a storage");
    check_value(pk::list({}) + item + "s", "SYNTAX", "sets an item of a list");
    check_value(pk::empty_tuple + pk::none + "a", "SYNTAX", "appends to a tuple");
    check_value(pk::ordered_dict() + pk::none + "a", "SYNTAX", "appends to a dict");
    check_value(pk::text("x") + "(" + pk::none + "e", "SYNTAX", "appends to a text");
    check_value(pk::ordered_dict() + "(" + item + pk::none + "u", "SYNTAX", "a key that has no value");
}

TEST_CASE("P7: programs that make no sense", "[torch_pickle][P7]") {
    for (const char* opcode : {"\x85", "\x86", "\x87", "R", "b", "a", "s", "Q", "q\x01"}) {
        check_program(kStart + opcode + ".", "SYNTAX", "more values than the stack has");
        check_program(kStart + "NNN(" + opcode + ".", "SYNTAX", "more values than the stack has");  // below the mark
    }
    for (const char* opcode : {"t", "e", "u"}) check_program(kStart + "N" + opcode + ".", "SYNTAX", "needs a mark");
    check_program(kStart + "(e.", "SYNTAX", "more values than the stack has");
    check_program(kStart + "h\x01.", "SYNTAX", "place 1 of the memo is empty");
    check_program(kStart + "Nq\x05h\x04.", "SYNTAX", "place 4 of the memo is empty");
    check_program(kStart + "j" + le(UINT32_MAX, 4) + ".", "SYNTAX", "place 4294967295 of the memo is empty");
    check_program(kStart + "Nr" + le(UINT32_MAX, 4) + ".", "LIMIT", "place 4294967295 of the memo");
    check_program(kStart + "Nr" + le(100'000, 4) + ".", "LIMIT", "at most 100000");
    check_program(kStart + "N", "TRUNC", "before its STOP");
    check_program(kStart + ".", "SYNTAX", "STOP with 0 values");
    check_program(kStart + "NN.", "SYNTAX", "STOP with 2 values");
    check_program(kStart + "N(.", "SYNTAX", "STOP with 1 values on the stack");
    check_program("", "UNSAFE", "does not begin with the number of its protocol");
    check_file(torch_zip(pk::program(pk::state({{"w", kMatrix}})) + "x", kSix), "SYNTAX", "1 bytes follow the end");
    check_file(torch_legacy(pk::program(pk::state({{"w", kMatrix}})), kSix) + Bytes{0}, "SYNTAX",
               "1 bytes follow the last storage");
}

TEST_CASE("P8: programs that grow", "[torch_pickle][P8]") {
    // Billion laughs: a list of ten lists of ten lists; nothing is copied here, but who walks through it never ends.
    std::string laughs = kStart + pk::list({"N"}) + "q\x01";
    for (int level = 0; level < 12; level++) laughs += "](" + repeated("h\x01", 10) + "eq\x01";
    check_program(laughs + "t.", "LIMIT", "walking through them would take more than");
    std::string doubled = kStart + ")q\x01";
    for (int level = 0; level < 60; level++) doubled += "h\x01h\x01\x86q\x01";
    check_program(doubled + ".", "LIMIT", "walking through them");
    check_program(kStart + "}q\x01" + repeated("h\x01N\x68\x01s", 200) + ".", "LIMIT", "");  // a dict in itself

    check_program(kStart + "N" + repeated("\x85", 100'000) + ".", "LIMIT", "nested deeper than 100");
    check_program(kStart + repeated("]", 100'000) + repeated("a", 99'999) + ".", "LIMIT", "more than 10000 values");
    check_program(kStart + repeated("(", 100'000), "LIMIT", "too many marks");
    check_program(kStart + "N" + repeated("q\x01", 1'000'000) + ".", "LIMIT", "more than 1000000 instructions");
    check_program(kStart + "](" + repeated("N", 10'001) + "e.", "LIMIT", "more than 10000 values on the stack");
    std::string memo = kStart + "N";
    for (uint32_t i = 0; i < 100'001; i++) memo += "r" + le(i, 4);
    check_program(memo + ".", "LIMIT", "place 100000 of the memo");
    const std::string wide = "(" + repeated("]", 9000) + "e";
    check_program(kStart + "]" + repeated(wide, 100) + ".", "LIMIT", "its values take more than");
}

TEST_CASE("P9: lengths", "[torch_pickle][P9]") {
    check_program(kStart + "\x8a\xff" + std::string(255, '\x01') + ".", "OVERFLOW", "a whole number of 255 bytes");
    check_program(kStart + "\x8b" + le(UINT32_MAX, 4) + ".", "OVERFLOW", "a whole number of 4294967295 bytes");
    check_program(kStart + "\x8a\x09" + std::string(9, '\x00') + ".", "OVERFLOW", "a whole number of 9 bytes");
    check_program(kStart + "\x8a\x08" + "1234.", "TRUNC", "a number");
    check_program(kStart + "X" + le(UINT32_MAX, 4) + "abc.", "TRUNC", "wanted 4294967295 bytes");
    check_program(kStart + "X" + le(5, 4) + "abc.", "TRUNC", "a text");
    check_program(kStart + "U\xff.", "TRUNC", "a text");
    check_program(kStart + "G1234.", "TRUNC", "a number");
    check_program(kStart + "X" + le(2, 4) + "\xc0\x80.", "UTF8", "is not UTF-8");
    check_program(kStart + "X" + le(3, 4) + "\xed\xa0\x80.", "UTF8", "is not UTF-8");
    check_program(kStart + "cos", "TRUNC", "the name of a module");

    const auto number = [](const std::string& instructions) {
        const Bytes bytes = bytes_of(kStart + instructions + ".");
        ByteReader in(bytes, "p");
        return std::get<int64_t>(read_pickle(in, bytes.size()).root);
    };
    CHECK(number(std::string("\x8a\x00", 2)) == 0);
    CHECK(number("\x8a\x01\xff") == -1);
    CHECK(number(std::string("\x8a\x02\xff\x00", 4)) == 255);
    CHECK(number("\x8a\x08" + le(uint64_t{1} << 63, 8)) == INT64_MIN);
    CHECK(number("J" + le(UINT32_MAX, 4)) == -1);
    CHECK(number("K\xff") == 255);
    CHECK(number("M\xff\xff") == 65535);
    const Bytes half = bytes_of(kStart + "G\x3f\xe0" + std::string(6, '\0') + ".");
    ByteReader in(half, "p");
    CHECK(std::get<double>(read_pickle(in, half.size()).root) == 0.5);
}

TEST_CASE("P10: other protocols", "[torch_pickle][P10]") {
    for (const char protocol : {0, 1, 3, 4, 5, 127}) {
        check_program(std::string("\x80") + protocol + "N.", "UNSAFE", "has protocol " + std::to_string(protocol));
    }
    const Bytes right = bytes_of(kStart + "N.");
    ByteReader in(right, "p");
    CHECK_OK(std::holds_alternative<PickleNone>(read_pickle(in, right.size()).root));
    check_program("N.", "UNSAFE", "does not begin with the number of its protocol");
    check_program("I1\n.", "UNSAFE", "does not begin");
    check_program(kStart + kStart + "N.", "UNSAFE", "a second time");
    check_program(kStart + "N\x80\x04.", "UNSAFE", "a second time");
    check_program("\x80\x04\x95" + le(2, 8) + "N.", "UNSAFE", "has protocol 4");
}

TEST_CASE("P11: names of storages", "[torch_pickle][P11]") {
    const auto check = [](const std::string& id, const char* kind, const char* part) {
        check_value(pk::tensor(id + "Q", 0, {2}, {1}), kind, part);
    };
    const std::string type = pk::global("torch", "FloatStorage"), key = pk::text("0"), cpu = pk::text("cpu");
    check(pk::text("0"), "SYNTAX", "is a text, expected a tuple");
    check(pk::empty_tuple, "SYNTAX", "the name of a storage is not");
    check(pk::tuple({pk::text("module"), type, key, cpu, pk::whole(6)}), "SYNTAX", "the name of a storage is not");
    check(pk::tuple({pk::text("storage"), type, key, cpu}), "SYNTAX", "the name of a storage is not");
    check(pk::tuple({pk::text("storage"), pk::text("FloatStorage"), key, cpu, pk::whole(6)}), "DTYPE", "is a text");
    check(pk::tuple({pk::text("storage"), type, pk::whole(0), cpu, pk::whole(6)}), "SYNTAX", "is no text");
    check(pk::tuple({pk::text("storage"), type, key, cpu, pk::text("6")}), "SYNTAX", "no number");
    check(pk::tuple({pk::text("storage"), type, key, cpu, pk::whole(6), pk::numbers({1, 0, 6})}), "DTYPE",
          "before PyTorch 0.4");
    const std::string other = pk::program(pk::state({{"w", pk::tensor(pk::storage("1", 6), 0, {2}, {1})}}));
    check_file(torch_zip(other, kSix), "MISSING", "storage \"1\": is not in the archive");
    check_file(torch_legacy(other, {}), "MISSING", "storage \"1\": is not in the file's list of keys");
    const auto in_zip = [](const std::string& name) {
        return torch_zip(pk::program(pk::state({{"w", pk::tensor(pk::storage(name, 6), 0, {6}, {1})}})), kSix);
    };
    for (const std::string name : {"../x", "", ".", "..", "a/b", "a\\b", "/0"}) {
        check_file(in_zip(name), "UNSAFE", "a key that is no plain name");
    }
    check_file(in_zip(std::string("0\0", 2)), "UNSAFE", "a key that is no plain name");
    check_file(in_zip("00"), "MISSING", "storage \"00\"");
}

TEST_CASE("P12: storages that are longer or shorter than the pickle says", "[torch_pickle][P12]") {
    for (const int64_t numel :
         {int64_t{0}, int64_t{5}, int64_t{7}, int64_t{1} << 40, int64_t{1} << 62, INT64_MAX, int64_t{-1}, INT64_MIN}) {
        check_value(pk::tensor(pk::storage("0", numel), 0, {1}, {1}), "SHAPE", "but 24 bytes are there");
    }
    for (const char* type : {"DoubleStorage", "HalfStorage", "ByteStorage"}) {
        const std::string tensor = pk::tensor(pk::storage("0", 6, type), 0, {1}, {1});
        check_file(torch_zip(pk::program(pk::state({{"w", tensor}})), kSix), "SHAPE", "but 24 bytes are there");
    }
}

TEST_CASE("P13: tensors that reach beyond their storage", "[torch_pickle][P13]") {
    check_tensor(0, {7}, {1}, "OFFSET", "reaches to value 6 of a storage that has 6");
    check_tensor(1, {2, 3}, {3, 1}, "OFFSET", "reaches to value 6");
    check_tensor(6, {1}, {1}, "OFFSET", "reaches to value 6");
    check_tensor(6, {}, {}, "OFFSET", "reaches to value 6");
    check_tensor(0, {2, 3}, {4, 1}, "OFFSET", "reaches to value 6");
    check_tensor(-1, {1}, {1}, "OFFSET", "begins before its storage");
    check_tensor(0, {-1}, {1}, "OFFSET", "negative");
    check_tensor(5, {2}, {-1}, "OFFSET", "negative");
    check_tensor(0, {2, 3}, {1}, "OFFSET", "2 extents and 1 strides");
    check_tensor(0, {}, {1}, "OFFSET", "0 extents and 1 strides");
    check_tensor(INT64_MAX, {1}, {1}, "OFFSET", "reaches to value");
    check_tensor(0, {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1}, "LIMIT", "7 axes");
    check_tensor(0, std::vector<int64_t>(1000, 1), std::vector<int64_t>(1000, 1), "LIMIT", "1000 axes");
    check_tensor(0, {INT64_MAX, INT64_MAX}, {0, 0}, "OVERFLOW", "64 bits");
    check_tensor(0, {int64_t{1} << 32, int64_t{1} << 32}, {0, 0}, "OVERFLOW", "64 bits");
    check_tensor(0, {3, 3, 3}, {INT64_MAX, INT64_MAX, INT64_MAX}, "OVERFLOW", "64 bits");
    check_tensor(INT64_MAX, {2, 2}, {INT64_MAX, 2}, "OVERFLOW", "64 bits");
    check_tensor(0, {int64_t{1} << 40}, {0}, "LIMIT", "8 times what the file holds");
    check_tensor(0, {int64_t{1} << 21}, {0}, "LIMIT", "8 times what the file holds");
    check_tensor(0, {INT64_MAX, 2, 0}, {1, 1, 1}, "OVERFLOW", "64 bits");

    // Many tensors that show the same numbers: each is allowed, all together are not.
    pk::Items items;
    for (int i = 0; i < 20; i++) {
        items.push_back({std::to_string(i), pk::tensor(pk::storage("0", 6), 0, {100'000}, {0})});
    }
    check_both(pk::program(pk::state(items)), "LIMIT", "tensor \"10\": is [100000]");

    const auto values = [](const std::vector<int64_t>& size, const std::vector<int64_t>& stride, int64_t offset = 0) {
        const std::string program =
            pk::program(pk::state({{"w", pk::tensor(pk::storage("0", 6), offset, size, stride)}}));
        const Loaded zip = load(torch_zip(program, kSix)), legacy = load(torch_legacy(program, kSix));
        CHECK(zip.values == legacy.values);
        return zip.values[0];
    };
    CHECK(values({3, 2}, {1, 3}) == std::vector<real>{0, 3, 1, 4, 2, 5});
    CHECK_OK(values({2, 3}, {0, 1}, 3) == std::vector<real>{3, 4, 5, 3, 4, 5});
    CHECK(values({2, 2}, {1, 1}) == std::vector<real>{0, 1, 1, 2});
    CHECK(values({}, {}, 5) == std::vector<real>{5});
    CHECK(values({1, 2}, {INT64_MAX, 5}) == std::vector<real>{0, 5});
    CHECK(values({0, 5}, {5, 1}, 6).empty());
    CHECK(values({5, 0, INT64_MAX}, {0, 0, 0}).empty());
}

TEST_CASE("P14: storages that are shared, or claim to be", "[torch_pickle][P14]") {
    const auto two = [](const std::string& second) {
        return pk::program(pk::state({{"a", kMatrix}, {"b", pk::tensor(second, 0, {1}, {1})}}));
    };
    CHECK_OK(load(torch_zip(two(pk::storage("0", 6)), kSix)).values.size() == 2);
    CHECK(load(torch_legacy(two(pk::storage("0", 6)), kSix)).values.size() == 2);
    check_both(two(pk::storage("0", 6, "IntStorage")), "DTYPE", "is F32 in one place and I32 in another");
    check_both(two(pk::storage("0", 3)), "SHAPE", "has 6 values in one place and 3 in another");
}

TEST_CASE("P15: state dicts with other things in them", "[torch_pickle][P15]") {
    const auto program = [](const pk::Items& items) { return pk::program(pk::dict(items, pk::ordered_dict())); };
    const std::string w = pk::text("w");
    check_both(program({{w, kMatrix}, {w, kMatrix}}), "DUP", "tensor \"w\": occurs twice");
    check_both(program({{w, kMatrix}, {w, pk::none}}), "DUP", "\"w\"");
    const Loaded got = load(torch_zip(
        program({{w, kMatrix}, {pk::whole(1), kMatrix}, {pk::none, pk::none}, {pk::text("epoch"), pk::whole(3)}}),
        kSix));
    CHECK_OK(got.entries.size() == 1);
    CHECK(got.warnings == std::vector<std::string>{"an entry whose name is a whole number is not read",
                                                   "an entry whose name is None is not read",
                                                   "entry \"epoch\" is a whole number, no tensor: not read"});
    // Names are text and nothing else.
    CHECK(load(torch_zip(program({{pk::text("../w\n"), kMatrix}}), kSix)).entries[0].name == "../w\n");

    // A dict within: only when there is one.
    const std::string state = pk::state({{"w", kMatrix}});
    const Loaded inner = load(torch_legacy(program({{pk::text("model"), state}, {pk::text("step"), "K\x05"}}), kSix));
    REQUIRE(inner.entries.size() == 1);
    CHECK(inner.entries[0].name == "w");
    CHECK(mentions(inner.warnings.at(0), "those of the entry \"model\"; not read: \"step\""));
    check_both(program({{pk::text("model"), state}, {pk::text("ema"), state}}), "VALUE",
               "several dicts of tensors, \"model\" and \"ema\"");
    check_both(program({{pk::text("a"), pk::dict({{pk::text("b"), state}})}}), "MISSING",
               "holds no tensors; it has \"a\"");
    check_file(torch_zip(program({}), kSix), "MISSING", "holds no tensors");
    check_file(torch_legacy(program({}), {}), "MISSING", "holds no tensors");
    check_both(pk::program(kMatrix), "MISSING", "holds a tensor, expected a dict");
    check_both(pk::program(pk::list({kMatrix})), "MISSING", "holds a list, expected a dict");
    // A dict that holds itself.
    check_file(torch_zip(pk::program("}q\x01" + w + "h\x01s"), kSix), "MISSING", "holds no tensors; it has \"w\"");
}

TEST_CASE("P16: other formats are named", "[torch_pickle][P16]") {
    check_file(bytes_of("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"), "MAGIC", "git lfs pull");
    check_file(bytes_of("<!DOCTYPE html><html>"), "MAGIC", "is HTML");
    check_file({}, "MAGIC", "is an empty file");
    check_file(bytes_of("PK\x05\x06" + std::string(18, '\0')), "MAGIC", "an empty zip archive");
    check_file(bytes_of(pk::program(pk::state({{"w", "N"}}))), "MAGIC", "a pickle, but none that torch.save wrote");
    check_file(bytes_of("\x93NUMPY"), "MAGIC", "is a NumPy array");
    check_file(bytes_of("numbers"), "MAGIC", "neither a zip archive nor the legacy layout");
    // The .tar layout, whose reader in PyTorch executed code even with weights_only=True (CVE-2025-32434).
    Bytes tar(1024);
    std::string(pk::program(pk::call(pk::global("os", "system"), {pk::text("id")})))
        .copy(reinterpret_cast<char*>(tar.data()) + 512, 100);
    std::string("sys_info").copy(reinterpret_cast<char*>(tar.data()), 8);
    std::string("ustar").copy(reinterpret_cast<char*>(tar.data()) + 257, 5);
    check_file(tar, "MAGIC", "the .tar layout is not read here");
    auto script = torch_entries(pk::program(pk::state({{"w", kMatrix}})), kSix);
    script.push_back({"m/constants.pkl", bytes_of("\x80\x02).")});
    script.push_back({"m/code/__torch__.py", bytes_of("class M:\n")});
    check_file(zip_archive(script).bytes, "MAGIC", "is TorchScript");
    check_file(bytes_of(kLegacyMagic + pk::program(pk::whole(1000))), "MAGIC", "protocol of torch.save is not 1001");
    Bytes magic = bytes_of(legacy_head());
    magic[5] ^= 1;
    check_file(magic, "MAGIC", "a pickle, but none that torch.save wrote");
}

TEST_CASE("P19: archives that are not from torch.save", "[torch_pickle][P19]") {
    const std::string program = pk::program(pk::state({{"w", kMatrix}}));
    auto entries = torch_entries(program, kSix);
    entries.push_back({"other/data.pkl", {}});
    check_file(zip_archive(entries).bytes, "UNSAFE", "entry \"other/data.pkl\": is not in the one folder");
    check_file(zip_archive({{"data.pkl", bytes_of(program)}}).bytes, "UNSAFE", "is not in the one folder");
    check_file(zip_archive({{"m/version", bytes_of("3")}}).bytes, "MISSING", "has no entry \"m/data.pkl\"");
    check_file(zip_archive({{"m/data.pkl", bytes_of(program)}}).bytes, "MISSING", "has no entry \"m/version\"");
    check_file(zip_archive({{"word/document.xml", bytes_of("x")}}).bytes, "MISSING", "\"word/document.xml\"");
    entries = torch_entries(program, kSix);
    entries.push_back(entries.back());
    check_file(zip_archive(entries).bytes, "DUP", "\"m/data/0\"");
}

TEST_CASE("P20: what a small file makes of itself is bounded by its size", "[torch_pickle][P20][A20]") {
    // Deflated zeros: the archive is refused before anything is unpacked. A large pickle, too.
    const int64_t n = 16 << 20;
    auto entries = torch_entries(pk::program(pk::state({{"w", pk::tensor(pk::storage("0", n), 0, {n}, {1})}})),
                                 {{"0", Bytes(4 * size_t(n))}});
    for (ZipSample& entry : entries) entry.is_deflated = true;
    const Bytes bomb = zip_archive(entries).bytes;
    CHECK(bomb.size() < 100'000);
    check_file(bomb, "LIMIT", "8 times its size");
    entries = torch_entries(kStart + repeated("N", (8 << 20) + 1), {});
    check_file(zip_archive(entries).bytes, "LIMIT", "at most 8388608 are expected there");
    entries = torch_entries(pk::program(pk::state({{"w", kMatrix}})), kSix);
    entries[1].contents = Bytes(65, '1');
    check_file(zip_archive(entries).bytes, "LIMIT", "at most 64 are expected there");
}

TEST_CASE("P21: byte order and version", "[torch_pickle][P21]") {
    auto entries = torch_entries(pk::program(pk::state({{"w", kMatrix}})), kSix);
    const auto with_version = [&](const std::string& version) {
        auto changed = entries;
        changed[1].contents = bytes_of(version);
        return zip_archive(changed).bytes;
    };
    for (const char* good : {"1", "3\n", "10"}) CHECK_OK(load(with_version(good)).entries.size() == 1);
    for (const char* bad : {"0", "999", "abc", "", "-3", "3.0", " 3", "3x", "99999999999999999999"}) {
        check_file(with_version(bad), "MAGIC", "versions 1 to 10 are read");
    }
    entries[2].contents = bytes_of("big");
    check_file(zip_archive(entries).bytes, "DTYPE", "is \"big\"; only \"little\" is read");
    entries[2].contents = bytes_of("middle");
    check_file(zip_archive(entries).bytes, "DTYPE", "\"middle\"");
    entries.erase(entries.begin() + 2);  // as before PyTorch 2.1
    CHECK(load(zip_archive(entries).bytes).entries.size() == 1);
    const std::string program = pk::program(pk::state({{"w", kMatrix}}));
    check_file(bytes_of(legacy_head(pk::no) + program), "DTYPE", "big-endian");
    check_file(bytes_of(legacy_head(pk::none) + program), "SYNTAX", "do not say little_endian");
}

TEST_CASE("P22: files that are two things", "[torch_pickle][P22]") {
    const std::string program = pk::program(pk::state({{"w", kMatrix}}));
    const Bytes zip = torch_zip(program, kSix), legacy = torch_legacy(program, kSix);
    check_file(bytes_of(program) + zip, "MAGIC", "a pickle, but none");
    check_file(bytes_of("%PDF-1.4") + zip, "MAGIC", "neither");
    check_file(bytes_of(le(2, 8) + "{}") + zip, "MAGIC", "neither");
    check_file(legacy + zip, "SYNTAX", "bytes follow the last storage");
    check_file(zip + legacy, "TRUNC", "no end record");
}

TEST_CASE("the two holes that weights_only had in PyTorch", "[torch_pickle][A5]") {
    // CVE-2025-32434: the .tar layout was read by an older reader, which called what it was told to.
    Bytes tar(1024);
    std::string("sys_info").copy(reinterpret_cast<char*>(tar.data()), 8);
    std::string("ustar").copy(reinterpret_cast<char*>(tar.data()) + 257, 5);
    check_file(tar + bytes_of(pk::program(pk::call(pk::global("os", "system"), {pk::text("id")}))), "MAGIC",
               "the .tar layout is not read here");
    // CVE-2026-24747: SETITEM wrote into whatever was on the stack, and storages were shorter than they said.
    const std::string item = pk::whole(0) + pk::whole(1);
    for (const auto& [target, name] : {std::pair(kMatrix, "a tensor"),
                                       {pk::storage("0", 6), "a storage"},
                                       {pk::list({}), "a list"},
                                       {pk::numbers({1}), "a tuple"}}) {
        check_value(target + item + "s", "SYNTAX", std::string("sets an item of ") + name);
        check_value(target + "(" + item + "u", "SYNTAX", std::string("sets an item of ") + name);
    }
    for (const int64_t numel : {5, 7, 1 << 20}) {
        check_value(pk::tensor(pk::storage("0", numel), 0, {1}, {1}), "SHAPE", "but 24 bytes are there");
    }
    check_tensor(0, {7}, {1}, "OFFSET", "reaches to value 6 of a storage that has 6");
    check_tensor(3, {2, 2}, {2, 1}, "OFFSET", "reaches to value 6 of a storage that has 6");
}

TEST_CASE("what PyTorch's zip reader refuses", "[torch_pickle][A6]") {
    const std::string program = pk::program(pk::state({{"w", kMatrix}}));
    const ZipLayout zip = zip_archive(torch_entries(program, kSix));
    const auto until = [&](size_t n) { return Bytes(zip.bytes.begin(), zip.bytes.begin() + std::ptrdiff_t(n)); };
    check_file(until(zip.end), "TRUNC", "no end record");
    check_file(bytes_of("PK\x05\x06" + std::string(18, '\0')), "MAGIC", "an empty zip archive");
    check_file(zip_archive({{"data.pkl", bytes_of(program)}}).bytes, "UNSAFE", "is not in the one folder");
    check_file(zip_archive({{"m/version", bytes_of("3")}}).bytes, "MISSING", "has no entry \"m/data.pkl\"");
    auto entries = torch_entries(program, kSix);
    entries[1].contents = bytes_of("11");
    check_file(zip_archive(entries).bytes, "MAGIC", "versions 1 to 10 are read");
    // The format of PyTorch 1.0's previews, which had its own container.
    check_file(bytes_of("PYTORCH1" + std::string(100, '\0')), "MAGIC", "neither a zip archive nor the legacy layout");
    // There, memory was asked for as the directory said.
    entries = torch_entries(program, {{"0", Bytes(24)}});
    entries[3].is_deflated = true;
    ZipLayout large = zip_archive(entries);
    put_le(large.bytes, large.central[3] + 24, 0xfffffff0, 4);
    put_le(large.bytes, large.directory - 4, 0xfffffff0, 4);
    check_file(large.bytes, "LIMIT", "8 times its size");
}

TEST_CASE("the limits of a pickle: what is at them is read, what is beyond them is not", "[torch_pickle][A7]") {
    const auto reads = [](const std::string& program) {
        const Bytes bytes = bytes_of(program);
        return kind_of([&] {
            ByteReader in(bytes, "p");
            read_pickle(in, bytes.size());
        });
    };
    // N and STOP are two of the instructions, PROTO is not counted; the memo has places 0 to 99 999.
    CHECK(reads(kStart + "N" + repeated("q\x01", 1'000'000 - 2) + ".") == "");
    check_program(kStart + "N" + repeated("q\x01", 1'000'000 - 1) + ".", "LIMIT", "more than 1000000 instructions");
    CHECK(reads(kStart + "](" + repeated("N", 9'999) + "e.") == "");
    check_program(kStart + "](" + repeated("N", 10'000) + "e.", "LIMIT", "more than 10000 values on the stack");
    CHECK(reads(kStart + "Nr" + le(99'999, 4) + ".") == "");
    check_program(kStart + "Nr" + le(100'000, 4) + ".", "LIMIT", "place 100000 of the memo; at most 100000");
    check_program(kStart + kStart + "N.", "UNSAFE", "a second time");
    // Ten instructions GET for one PUT are no sign of anything here, since nothing is copied.
    CHECK(reads(kStart + "](Nq\x01" + repeated("h\x01", 5'000) + "e.") == "");
}

TEST_CASE("the storages of the legacy layout", "[torch_pickle][P12]") {
    const std::string object = pk::program(pk::state({{"w", kMatrix}})), start = legacy_head() + object;
    const std::string six(kSix[0].second.begin(), kSix[0].second.end());
    const auto check = [&](const std::string& keys, const std::string& rest, const char* kind, const char* part) {
        check_file(bytes_of(start + pk::program(keys) + rest), kind, part);
    };
    const std::string zero = pk::text("0");
    check(pk::list({}), "", "MISSING", "storage \"0\": is not in the file's list of keys");
    check(pk::list({zero, zero}), le(6, 8) + six + le(6, 8) + six, "DUP", "occurs twice in the list of keys");
    check(pk::list({zero, pk::text("1")}), le(6, 8) + six, "MISSING", "nothing says its type");
    check(pk::text("0"), "", "SYNTAX", "expected the list of storage keys, found a text");
    check(pk::list({pk::whole(0)}), "", "SYNTAX", "the key of a storage is a whole number");
    check(pk::list({zero}), le(6, 8) + six.substr(1), "TRUNC", "more than the file");
    check(pk::list({zero}), le(6, 7), "TRUNC", "the length of a storage");
    check(pk::list({zero}), le(5, 8) + six, "SHAPE", "but 20 bytes are there");
    for (const uint64_t n : {UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 62, uint64_t{7}}) {
        check(pk::list({zero}), le(n, 8) + six, "TRUNC", "more than the file");
    }
}

TEST_CASE("generic sweep over both layouts: every cut, every bit, every length", "[torch_pickle][sweep][A11]") {
    const std::string program =
        pk::program(pk::state({{"w", kMatrix}, {"t", pk::tensor(pk::storage("1", 2), 0, {1, 2}, {1, 1})}}));
    const Storages storages{kSix[0], {"1", f32_bytes({1, 2})}};
    const ScratchFolder folder;
    const auto parse = [&](const Bytes& bytes) {
        std::filesystem::remove(folder / "x");  // overwriting it would wait for the disk each time
        load_file(folder.write("x", bytes));
    };
    const auto start = std::chrono::steady_clock::now();
    const ZipLayout zip = zip_archive(torch_entries(program, storages), true);
    // The lengths of texts and numbers in the pickle, wherever they are: every four bytes at their extremes.
    std::vector<LengthField> fields;
    for (size_t at = zip.data[0]; at < zip.data[0] + program.size() - 4; at++) fields.push_back({at, 4, false});
    // Each bit makes the checksum wrong; the legacy layout, which has none, lets them through to the parser.
    CHECK(sweep(zip.bytes, zip.bytes.size(), fields, true, parse) > 10'000);
    const Bytes legacy = torch_legacy(program, storages);
    fields.clear();
    for (size_t at = 0; at < legacy.size() - 8; at++) fields.push_back({at, at % 2 == 0 ? 4 : 8, false});
    CHECK(sweep(legacy, legacy.size(), fields, true, parse) > 5000);
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 120);
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("memory is bounded by the size of the file", "[torch_pickle][P8]") {
    const ScratchFolder folder;
    // As a model is loaded: one tensor after the other.
    const auto added = [&](const Bytes& bytes) {
        const std::string path = folder.write("x", bytes);
        return added_kb([&] {
            try {
                const auto file = open_torch_file(path);
                std::vector<real> values;
                for (size_t i = 0; i < file->entries().size(); i++) {
                    values.resize(size_t(file->entries()[i].shape.numel()));
                    file->read(i, values);
                }
            } catch (const DataError&) {
            }
        });
    };
    const auto limit_kb = [](const Bytes& bytes) { return long(2 * bytes.size() / 1024 + (16 << 10)); };
    // As many tensors as fit into few bytes.
    std::string tensors = pk::ordered_dict() + pk::text("w") + kMatrix + "q\x01s";
    for (int i = 0; i < 35'000; i++) tensors += pk::text(std::to_string(i)) + "h\x01s";
    CHECK(load(torch_zip(kStart + tensors + ".", kSix)).entries.size() == 35'001);
    const std::string lists = "]" + repeated("(" + repeated("]", 9000) + "e", 100);
    const std::string nones = "]" + repeated("(" + repeated("N", 9000) + "e", 110);
    for (const std::string& program : {tensors, tensors + repeated(pk::none + "h\x01s", 300'000), lists, nones}) {
        const Bytes zip = torch_zip(kStart + program + ".", kSix), legacy = torch_legacy(kStart + program + ".", kSix);
        CHECK(added(zip) <= limit_kb(zip));
        CHECK(added(legacy) <= limit_kb(legacy));
    }
}
#endif

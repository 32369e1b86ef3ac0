// The pickle machine; see pickle.h.
#include "data/pickle.h"

#include <algorithm>
#include <array>
#include <bit>

#include "data/json.h"
#include "data/pickle_tables.h"
#include "data/utf8.h"

namespace koine {
namespace {

constexpr uint8_t kProtocol = 2;
constexpr uint64_t kMaxGlobalBytes = 256;
constexpr size_t kMaxAttributes = 64;
// What the records of a pickle may take in memory, with half the length of the file on top.
constexpr uint64_t kMaxMemory = 6 << 20;

class Machine {
public:
    Machine(ByteReader& in_, uint64_t file_bytes) : in(in_), max_memory(kMaxMemory + file_bytes / 2) {}

    Pickle run() {
        if (in.at_end() || in.u8("the pickle") != kProto) refuse("does not begin with the number of its protocol");
        if (const int protocol = in.u8("the protocol"); protocol != kProtocol) {
            refuse("has protocol " + std::to_string(protocol) + "; torch.save writes 2, and nothing else is read");
        }
        for (uint64_t n = 0; n < kMaxPickleOpcodes; n++) {
            start = in.offset();
            const uint8_t opcode = in.u8("the pickle, before its STOP");
            if (opcode == kStop) return finish();
            step(opcode);
        }
        fail("LIMIT", "more than " + std::to_string(kMaxPickleOpcodes) + " instructions");
    }

private:
    ByteReader& in;
    const uint64_t max_memory;
    uint64_t memory = 0;
    uint64_t start = 0;  // of the instruction
    Pickle out;
    std::vector<PickleValue> stack;
    std::vector<size_t> marks;  // heights of the stack
    std::vector<std::optional<PickleValue>> memo;

    [[noreturn]] void fail(const char* kind, const std::string& problem) const {
        in.fail_at(start, kind, "pickle: " + problem);
    }
    [[noreturn]] void refuse(const std::string& problem) const {
        fail("UNSAFE", problem + " (nothing of the file was executed)");
    }

    Pickle finish() {
        if (stack.size() != 1 || !marks.empty()) {
            fail("SYNTAX", "STOP with " + std::to_string(stack.size()) + " values on the stack, expected one");
        }
        out.root = stack.back();
        return std::move(out);
    }

    void step(uint8_t opcode) {
        switch (opcode) {
            case kNone: return push(PickleNone{});
            case kNewTrue: return push(true);
            case kNewFalse: return push(false);
            case kBinInt: return push(int64_t(int32_t(in.le32("a number"))));
            case kBinInt1: return push(int64_t(in.u8("a number")));
            case kBinInt2: return push(int64_t(in.le16("a number")));
            case kLong1: return push(whole(in.u8("the length of a number")));
            case kLong4: return push(whole(in.le32("the length of a number")));
            case kBinFloat: return push(big_endian_double());
            case kBinUnicode: return push(text(in.le32("the length of a text")));
            case kShortBinString: return push(text(in.u8("the length of a text")));

            case kMark:
                if (marks.size() == kMaxPickleStack) fail("LIMIT", "too many marks on the stack");
                return marks.push_back(stack.size());
            case kEmptyTuple: return push(tuple(0));
            case kTuple1: return push(tuple(1));
            case kTuple2: return push(tuple(2));
            case kTuple3: return push(tuple(3));
            case kTuple: return push(tuple(pop_mark()));
            case kEmptyList: charge(sizeof(PickleList)); return push(&out.lists.emplace_back());
            case kAppend: return append(1);
            case kAppends: return append(pop_mark());
            case kEmptyDict: return push(new_dict(false));
            case kSetItem: return set_items(2);
            case kSetItems: return set_items(pop_mark());

            case kBinPut: return put(in.u8("a place in the memo"));
            case kLongBinPut: return put(in.le32("a place in the memo"));
            case kBinGet: return get(in.u8("a place in the memo"));
            case kLongBinGet: return get(in.le32("a place in the memo"));

            case kGlobal: return push(global());
            case kReduce: return reduce();
            case kBuild: return build();
            case kBinPersId: return push(storage(pop()));
            default: refuse_opcode(opcode);
        }
    }

    [[noreturn]] void refuse_opcode(uint8_t opcode) const {
        if (opcode == kProto) refuse("names its protocol a second time");
        const auto row =
            std::find_if(kRefusedOpcodes.begin(), kRefusedOpcodes.end(), [&](auto& r) { return r.opcode == opcode; });
        constexpr const char* kDigits = "0123456789abcdef";
        refuse(std::string("the instruction 0x") + kDigits[opcode >> 4] + kDigits[opcode & 15] +
               (row == kRefusedOpcodes.end() ? "" : std::string(" (") + row->name + ")") +
               " is not one of those that torch.save needs");
    }

    // ---- values ---------------------------------------------------------------------------------------------------

    int64_t whole(uint32_t n_bytes) {
        if (n_bytes > sizeof(int64_t)) {
            fail("OVERFLOW", "a whole number of " + std::to_string(n_bytes) + " bytes, expected at most 8");
        }
        const auto bytes = in.take(n_bytes, "a number");
        // Two's complement: the highest bit fills what is not there.
        uint64_t value = !bytes.empty() && bytes.back() & 0x80 ? UINT64_MAX : 0;
        for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
        return int64_t(value);
    }

    double big_endian_double() {
        const uint64_t high = in.be32("a number"), low = in.be32("a number");
        return std::bit_cast<double>(high << 32 | low);
    }

    std::string_view text(uint32_t n_bytes) {
        const std::string_view taken = in.take_text(n_bytes, "a text");
        if (utf8_valid_prefix(taken) < taken.size()) fail("UTF8", "the text " + shown(taken) + " is not UTF-8");
        return taken;
    }

    PickleValue global() {
        const std::string_view module = in.take_until('\n', kMaxGlobalBytes, "the name of a module");
        const std::string_view name = in.take_until('\n', kMaxGlobalBytes, "a name in a module");
        for (const PickleGlobal& g : kPickleGlobals) {
            if (g.module == module && g.name == name) return g.value;
        }
        const std::string full = shown(std::string(module) + "." + std::string(name));
        if (is_known_torch_kind(module, name)) fail("DTYPE", "values of the kind " + full + " are not read here");
        refuse("asks for " + full + ", which is not on the list of what weights need; save the weights alone: " +
               "torch.save(model.state_dict(), ...)");
    }

    // ---- stack and memo -------------------------------------------------------------------------------------------

    // Before memory is taken. An allocation has a header; vectors that grow double, so they count twice.
    void charge(uint64_t n_bytes) {
        memory += n_bytes + 16;
        if (memory > max_memory) fail("LIMIT", "its values take more than " + std::to_string(max_memory) + " bytes");
    }

    size_t n_available() const { return stack.size() - (marks.empty() ? 0 : marks.back()); }
    void need(size_t n) const {
        if (n_available() < n) fail("SYNTAX", "an instruction needs more values than the stack has");
    }

    void push(PickleValue value) {
        if (stack.size() == kMaxPickleStack) {
            fail("LIMIT", "more than " + std::to_string(kMaxPickleStack) + " values on the stack");
        }
        stack.push_back(value);
    }
    PickleValue pop() {
        need(1);
        const PickleValue value = stack.back();
        stack.pop_back();
        return value;
    }
    PickleValue& top() {
        need(1);
        return stack.back();
    }
    // Removes the last mark and returns how many values were above it.
    size_t pop_mark() {
        if (marks.empty()) fail("SYNTAX", "an instruction needs a mark, and there is none");
        const size_t n = n_available();
        marks.pop_back();
        return n;
    }

    void put(uint32_t place) {
        if (place >= kMaxPickleMemo) {
            fail("LIMIT", "place " + std::to_string(place) + " of the memo; at most " + std::to_string(kMaxPickleMemo) +
                              " are accepted");
        }
        if (place >= memo.size()) memo.resize(place + 1);
        memo[place] = top();
    }
    void get(uint32_t place) {
        if (place >= memo.size() || !memo[place]) {
            fail("SYNTAX", "place " + std::to_string(place) + " of the memo is empty");
        }
        push(*memo[place]);
    }

    // ---- containers -----------------------------------------------------------------------------------------------

    // Moves the upper n values of the stack to the back of a container.
    void move_into(PickleItems& items, size_t n) {
        for (const PickleValue& value : std::span(stack).last(n)) {
            const PickleItems* child = items_of(value);
            items.depth = std::max(items.depth, child ? child->depth + 1 : 1);
            items.n_inside += child ? child->n_inside + 1 : 1;
            if (items.depth > kMaxPickleDepth) {
                fail("LIMIT", "nested deeper than " + std::to_string(kMaxPickleDepth));
            }
            if (items.n_inside > kMaxPickleValues) {
                fail("LIMIT",
                     "containers that hold each other so often that walking through them would take more than " +
                         std::to_string(kMaxPickleValues) + " steps");
            }
            items.values.push_back(value);
        }
        stack.resize(stack.size() - n);
    }
    static const PickleItems* items_of(const PickleValue& value) {
        if (const auto* p = std::get_if<PickleTuple*>(&value)) return *p;
        if (const auto* p = std::get_if<PickleList*>(&value)) return *p;
        if (const auto* p = std::get_if<PickleDict*>(&value)) return *p;
        return nullptr;
    }

    PickleTuple* tuple(size_t n) {
        need(n);
        charge(sizeof(PickleTuple) + n * sizeof(PickleValue));
        PickleTuple& made = out.tuples.emplace_back();
        made.values.reserve(n);
        move_into(made, n);
        return &made;
    }
    PickleDict* new_dict(bool is_ordered) {
        charge(sizeof(PickleDict));
        out.dicts.emplace_back().is_ordered = is_ordered;
        return &out.dicts.back();
    }

    // What lies below the upper n values, if it is a T.
    template <class T>
    T& container_below(size_t n, const char* problem) {
        need(n + 1);
        const PickleValue& value = stack[stack.size() - n - 1];
        T* const* found = std::get_if<T*>(&value);
        if (!found) fail("SYNTAX", std::string(problem) + kind_of(value));
        return **found;
    }
    void append(size_t n) {
        PickleList& list = container_below<PickleList>(n, "appends to ");
        charge(2 * n * sizeof(PickleValue));
        move_into(list, n);
    }
    void set_items(size_t n) {
        PickleDict& dict = container_below<PickleDict>(n, "sets an item of ");
        if (n % 2 != 0) fail("SYNTAX", "sets items with a key that has no value");
        charge((2 * sizeof(PickleValue) + 32) * n);  // and what becomes of a tensor's name
        move_into(dict, n);
    }

    // ---- records --------------------------------------------------------------------------------------------------

    // An argument of a known kind.
    template <class T>
    const T& argument(const PickleTuple& args, size_t i, const char* expected) const {
        const T* found = std::get_if<T>(&args.values[i]);
        if (!found) {
            fail("VALUE",
                 "argument " + std::to_string(i + 1) + " is " + kind_of(args.values[i]) + ", expected " + expected);
        }
        return *found;
    }
    std::vector<int64_t> numbers(const PickleTuple& tuple) {
        std::vector<int64_t> all;
        charge(tuple.values.size() * sizeof(int64_t));
        all.reserve(tuple.values.size());
        for (size_t i = 0; i < tuple.values.size(); i++) all.push_back(argument<int64_t>(tuple, i, "a whole number"));
        return all;
    }

    PickleValue storage(const PickleValue& id) {
        PickleTuple* const* found = std::get_if<PickleTuple*>(&id);
        if (!found) fail("SYNTAX", std::string("the name of a storage is ") + kind_of(id) + ", expected a tuple");
        const auto& values = (*found)->values;
        const auto* tag = values.empty() ? nullptr : std::get_if<std::string_view>(&values[0]);
        // The older layout has a sixth: None, or what made one storage a part of another before PyTorch 0.4.
        if (!tag || *tag != "storage" || values.size() < 5 || values.size() > 6) {
            fail("SYNTAX", "the name of a storage is not (\"storage\", type, key, device, number of values)");
        }
        if (!std::holds_alternative<PickleStorageType>(values[1])) {
            fail("DTYPE", std::string("the type of a storage is ") + kind_of(values[1]));
        }
        if (values.size() == 6 && !std::holds_alternative<PickleNone>(values[5])) {
            fail("DTYPE", "a storage that is part of another one, as before PyTorch 0.4, is not read here");
        }
        const auto* key = std::get_if<std::string_view>(&values[2]);
        const auto* numel = std::get_if<int64_t>(&values[4]);
        if (!key || !numel) fail("SYNTAX", "the key of a storage is no text, or its number of values no number");
        charge(sizeof(PickleStorage));
        out.storages.push_back({std::get<PickleStorageType>(values[1]).dtype, *key, *numel});
        return &out.storages.back();
    }

    void reduce() {
        const PickleValue arguments = pop(), function = pop();
        PickleTuple* const* found = std::get_if<PickleTuple*>(&arguments);
        const auto* known = std::get_if<PickleFunction>(&function);
        if (!known) refuse(std::string("calls ") + kind_of(function));
        if (!found) fail("VALUE", std::string("the arguments are ") + kind_of(arguments) + ", expected a tuple");
        const PickleTuple& args = **found;
        const auto need_arguments = [&](size_t low, size_t high) {
            if (args.values.size() >= low && args.values.size() <= high) return;
            fail("VALUE", std::to_string(args.values.size()) + " arguments for " + kind_of(function) + ", expected " +
                              std::to_string(low));
        };
        switch (*known) {
            case PickleFunction::ordered_dict: need_arguments(0, 0); return push(new_dict(true));
            case PickleFunction::size: {
                need_arguments(1, 1);
                PickleTuple* size = argument<PickleTuple*>(args, 0, "a tuple");
                numbers(*size);
                return push(size);
            }
            case PickleFunction::rebuild_tensor: {
                need_arguments(6, 7);  // the last is metadata that nobody needs
                argument<bool>(args, 4, "whether it has a gradient");
                argument<PickleDict*>(args, 5, "a dict of hooks");
                charge(4 * sizeof(PickleTensor));  // and what its reader makes of it
                out.tensors.push_back({argument<PickleStorage*>(args, 0, "a storage"),
                                       argument<int64_t>(args, 1, "an offset"),
                                       numbers(*argument<PickleTuple*>(args, 2, "a tuple of extents")),
                                       numbers(*argument<PickleTuple*>(args, 3, "a tuple of strides"))});
                return push(&out.tensors.back());
            }
            case PickleFunction::rebuild_parameter:
                need_arguments(3, 3);
                argument<bool>(args, 1, "whether it has a gradient");
                argument<PickleDict*>(args, 2, "a dict of hooks");
                return push(argument<PickleTensor*>(args, 0, "a tensor"));
        }
    }

    // Attributes: PyTorch sets `_metadata` of the OrderedDict that a state dict is. Names are kept, values are not.
    void build() {
        const PickleValue state = pop();
        PickleDict* const* target = std::get_if<PickleDict*>(&top());
        PickleDict* const* attributes = std::get_if<PickleDict*>(&state);
        if (!target || !(*target)->is_ordered || !attributes) {
            refuse(std::string("sets the state of ") + kind_of(top()) + " to " + kind_of(state));
        }
        const auto& values = (*attributes)->values;
        for (size_t i = 0; i < values.size(); i += 2) {
            const auto* name = std::get_if<std::string_view>(&values[i]);
            if (!name) refuse(std::string("sets an attribute whose name is ") + kind_of(values[i]));
            auto& names = (*target)->ignored_attributes;
            if (names.size() == kMaxAttributes) fail("LIMIT", "sets too many attributes");
            names.push_back(*name);
        }
    }
};

}  // namespace

const char* kind_of(const PickleValue& value) {
    // In the order of the variant.
    constexpr std::array kKinds{"None",   "a boolean",  "a whole number",    "a number",
                                "a text", "a function", "a type of storage", "a tuple",
                                "a list", "a dict",     "a storage",         "a tensor"};
    static_assert(kKinds.size() == std::variant_size_v<PickleValue>);
    return kKinds[value.index()];
}

Pickle read_pickle(ByteReader& in, uint64_t file_bytes) { return Machine(in, file_bytes).run(); }

}  // namespace koine

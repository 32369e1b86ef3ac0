// A set of byte strings, each with a number, and the question that tokenizers ask: which of them does this text begin
// with? Answered in one step per byte of the text, however many strings there are.
//
// The strings' common beginnings are shared: a tree with a byte on every edge. It lies in a double array (Aoe 1989,
// IEEE TSE 15(9)): the child of node n for byte c is slot base(n) ^ c, if that slot says that its parent is n.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace koine {

class DoubleArray {
public:
    DoubleArray() = default;
    /// `entries` are strings with numbers >= 0; of equal strings the largest number counts, the empty string does not.
    /// Views are not kept. Building takes n log n steps, and does not recurse: strings may be long.
    explicit DoubleArray(std::vector<std::pair<std::string_view, int32_t>> entries);

    bool empty() const { return slots.empty(); }

    /// f(length, node) for each entry that the text begins with, the shortest first. A node is where the entry ends;
    /// who keeps values of their own for entries in a list by node, needs no other.
    template <class F>
    void for_prefixes(std::string_view text, F f) const {
        if (empty()) return;
        uint32_t node = 0;
        for (size_t i = 0; i < text.size(); i++) {
            const uint32_t child = slots[node].child(text[i]);
            if (slots[child].parent != node) return;
            node = child;
            if (slots[node].is_entry) f(i + 1, node);
        }
    }
    /// How many nodes there may be, and the number of the entry that ends at one; -1 when none does.
    size_t n_nodes() const { return slots.size(); }
    int32_t number(uint32_t node) const { return numbers[node]; }

    /// Length of the longest entry that the text begins with; 0 when there is none.
    size_t longest_prefix(std::string_view text) const {
        size_t longest = 0;
        for_prefixes(text, [&](size_t length, uint32_t) { longest = length; });
        return longest;
    }
    /// The number of an entry; -1 when `text` is none.
    int32_t find(std::string_view text) const {
        int32_t found = -1;
        for_prefixes(text, [&](size_t length, uint32_t node) {
            if (length == text.size()) found = numbers[node];
        });
        return found;
    }

private:
    static constexpr uint32_t kNoParent = UINT32_MAX;
    // Eight bytes: the walk is as fast as the processor can fetch them.
    struct Slot {
        uint32_t base : 31 = 0;  // base ^ c is inside the array for every byte c
        uint32_t is_entry : 1 = 0;
        uint32_t parent = kNoParent;
        uint32_t child(char byte) const { return base ^ uint8_t(byte); }
    };
    std::vector<Slot> slots;       // whole blocks of 256; slot 0 is the root
    std::vector<int32_t> numbers;  // -1 where no entry ends
};

}  // namespace koine

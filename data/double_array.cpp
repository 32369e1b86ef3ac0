// Building a double array; see double_array.h.
#include "data/double_array.h"

#include <algorithm>
#include <deque>
#include <span>
#include <string>

namespace koine {
namespace {

/// The slots that are still free, as a list in order of their numbers.
class FreeSlots {
public:
    FreeSlots() { add_block(); }

    size_t n_slots() const { return next.size() - 1; }

    void take(uint32_t slot) {
        const uint32_t s = slot + 1;
        if (s == first_wide) first_wide = next[s];
        next[previous[s]] = next[s];
        previous[next[s]] = previous[s];
        next[s] = kTaken;
    }

    /// A base for which base ^ c is free for all of `bytes`. For one byte every free slot will do. For more, a slot
    /// that did not fit once is never tried again: so building is fast, and the holes are filled by nodes with one
    /// child, by far the most.
    uint32_t find_base(std::span<const uint8_t> bytes) {
        if (bytes.size() == 1 && next[0] != 0) return (next[0] - 1) ^ bytes[0];
        for (; first_wide != 0; first_wide = next[first_wide]) {
            const uint32_t base = (first_wide - 1) ^ bytes[0];
            if (std::all_of(bytes.begin(), bytes.end(), [&](uint8_t c) { return is_free(base ^ c); })) return base;
        }
        const auto block = uint32_t(n_slots());
        add_block();
        return block;
    }

private:
    static constexpr uint32_t kTaken = UINT32_MAX;

    bool is_free(uint32_t slot) const { return next[slot + 1] != kTaken; }

    void add_block() {
        const auto first = uint32_t(next.size());
        next.resize(first + 256);
        previous.resize(first + 256);
        for (uint32_t s = first; s < first + 256; s++) {
            const uint32_t last = previous[0];
            next[last] = s;
            previous[s] = last;
            next[s] = 0;
            previous[0] = s;
        }
        first_wide = first;
    }

    // Entry s + 1 is slot s; entry 0 stands before the first and behind the last.
    std::vector<uint32_t> next = {0}, previous = {0};
    uint32_t first_wide = 0;  // where nodes with several children begin to search; 0 at the end
};

}  // namespace

DoubleArray::DoubleArray(std::vector<std::pair<std::string_view, int32_t>> entries) {
    if (entries.empty()) return;
    std::sort(entries.begin(), entries.end());
    FreeSlots free;
    free.take(0);
    slots.resize(free.n_slots());
    numbers.resize(free.n_slots(), -1);

    // A node stands for sorted entries [begin, end), which agree in their first `depth` bytes. Level by level: the
    // nodes with many children come first, while there is room.
    struct Node {
        uint32_t slot;
        size_t begin, end, depth;
    };
    std::deque<Node> open = {{0, 0, entries.size(), 0}};
    std::vector<uint8_t> bytes;
    std::vector<size_t> begins;
    for (; !open.empty(); open.pop_front()) {
        Node node = open.front();
        while (node.begin < node.end && entries[node.begin].first.size() == node.depth) {
            slots[node.slot].is_entry = 1;
            numbers[node.slot] = entries[node.begin++].second;
        }
        if (node.begin == node.end) continue;
        bytes.clear();
        begins.clear();
        for (size_t i = node.begin; i < node.end; i++) {
            const auto byte = uint8_t(entries[i].first[node.depth]);
            if (!bytes.empty() && bytes.back() == byte) continue;
            bytes.push_back(byte);
            begins.push_back(i);
        }
        begins.push_back(node.end);
        const uint32_t base = free.find_base(bytes);
        slots.resize(free.n_slots());
        numbers.resize(free.n_slots(), -1);
        slots[node.slot].base = base & 0x7fffffff;  // as wide as the field
        for (size_t k = 0; k < bytes.size(); k++) {
            const uint32_t child = base ^ bytes[k];
            free.take(child);
            slots[child].parent = node.slot;
            open.push_back({child, begins[k], begins[k + 1], node.depth + 1});
        }
    }
}

}  // namespace koine

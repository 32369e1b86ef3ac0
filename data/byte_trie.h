// Many strings as one tree, a byte a step, whose nodes can be listed: what AddedTokenFinder is built on. Who only wants
// to know which strings a text begins with, takes DoubleArray, which is faster.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace koine {

/// Node 0 is the root, and the answer to a step that leads nowhere. The children of a node lie side by side, ordered by
/// byte, and behind their parent: nodes are numbered level by level. No hashing: no file can choose keys that collide.
class ByteTrie {
public:
    static constexpr int32_t kNone = -1;

    ByteTrie() : nodes(1) {}
    /// Strings with values from 0 on; of equal strings, the last. The empty string is ignored.
    explicit ByteTrie(std::vector<std::pair<std::string, int32_t>> strings) : ByteTrie() {
        std::stable_sort(strings.begin(), strings.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        // A node and the strings that go through it; those that end there come first.
        struct Group {
            size_t begin, end, depth;
        };
        std::vector<Group> groups = {{0, strings.size(), 0}};
        for (size_t node = 0; node < groups.size(); node++) {
            auto [begin, end, depth] = groups[node];
            for (; begin < end && strings[begin].first.size() == depth; begin++) {
                if (depth > 0) nodes[node].value = strings[begin].second;
            }
            nodes[node].first_child = uint32_t(nodes.size());
            while (begin < end) {
                const uint8_t byte = uint8_t(strings[begin].first[depth]);
                size_t next = begin;
                while (next < end && uint8_t(strings[next].first[depth]) == byte) next++;
                nodes.push_back({.byte = byte});
                groups.push_back({begin, next, depth + 1});
                nodes[node].n_children++;
                begin = next;
            }
        }
    }

    uint32_t n_nodes() const { return uint32_t(nodes.size()); }
    /// The child of `node` for a byte; 0 when there is none.
    uint32_t step(uint32_t node, char byte) const {
        const Node& parent = nodes[node];
        uint32_t low = parent.first_child, n = parent.n_children;
        while (n > 1) {
            const uint32_t half = n / 2;
            if (nodes[low + half].byte <= uint8_t(byte)) low += half;
            n -= half;
        }
        return n == 1 && nodes[low].byte == uint8_t(byte) ? low : 0;
    }
    /// The value of the string that ends at a node; kNone when none does.
    int32_t value(uint32_t node) const { return nodes[node].value; }
    uint8_t byte(uint32_t node) const { return nodes[node].byte; }
    /// Nodes [first, second).
    std::pair<uint32_t, uint32_t> children(uint32_t node) const {
        return {nodes[node].first_child, nodes[node].first_child + nodes[node].n_children};
    }

private:
    struct Node {
        uint32_t first_child = 0;
        int32_t value = kNone;
        uint16_t n_children = 0;
        uint8_t byte = 0;
    };
    std::vector<Node> nodes;
};

}  // namespace koine

// Texts that know where they came from; see tokenizer_parts.h.
#include "data/tokenizer_parts.h"

#include <algorithm>

namespace koine {

SourcedText::SourcedText(std::string_view original) : bytes(original) {
    if (!bytes.empty()) runs.push_back({0, {0, bytes.size()}, true});
}

// The run that holds a byte. Most questions go from left to right: the run of the last answer, or the one behind it.
size_t SourcedText::run_at(size_t byte, size_t hint) const {
    const auto holds = [&](size_t i) {
        return i < runs.size() && runs[i].begin <= byte && (i + 1 == runs.size() || byte < runs[i + 1].begin);
    };
    if (holds(hint)) return hint;
    if (holds(hint + 1)) return hint + 1;
    const auto after =
        std::upper_bound(runs.begin(), runs.end(), byte, [](size_t b, const Run& run) { return b < run.begin; });
    return size_t(after - runs.begin()) - 1;
}

// Of bytes [begin, end), which lie in one run.
Span SourcedText::source_of(size_t run, size_t begin, size_t end) const {
    const Run& r = runs[run];
    return r.is_bytewise ? Span{r.source.begin + begin - r.begin, r.source.begin + end - r.begin} : r.source;
}

Span SourcedText::source(size_t begin, size_t end) const {
    if (runs.empty()) return {};
    if (begin >= end) {
        if (begin >= bytes.size()) return {runs.back().source.end, runs.back().source.end};
        const size_t at = source_of(run_at(begin, 0), begin, begin + 1).begin;
        return {at, at};
    }
    const size_t first = run_at(begin, 0), last = run_at(end - 1, first);
    return {source_of(first, begin, begin + 1).begin, source_of(last, end - 1, end).end};
}

void SourcedText::append_run(Span source, size_t n_bytes, bool is_bytewise) {
    if (n_bytes == 0) return;
    const size_t begin = bytes.size();  // of the bytes that the caller appends now
    if (!runs.empty() && is_bytewise && runs.back().is_bytewise && runs.back().source.end == source.begin) {
        runs.back().source.end = source.end;
    } else {
        runs.push_back({begin, source, is_bytewise});
    }
}

SourcedText::Builder::Builder(const SourcedText& from_) : from(from_) {
    out.limit = from.limit;
    out.is_cut = from.is_cut;
}

bool SourcedText::Builder::has_room(size_t n_bytes) {
    is_full |= n_bytes > out.limit - out.bytes.size();
    out.is_cut |= is_full;
    return !is_full;
}

void SourcedText::Builder::replace(size_t begin, size_t end, std::string_view part) {
    if (part.empty() || !has_room(part.size())) return;
    Span source;
    if (!from.runs.empty()) {
        if (begin == end) {  // the next byte is the neighbour, or the last one
            begin = std::min(begin, from.size() - 1);
            end = begin + 1;
        }
        run = from.run_at(begin, run);
        source = {from.source_of(run, begin, begin + 1).begin, 0};
        run = from.run_at(end - 1, run);
        source.end = from.source_of(run, end - 1, end).end;
    }
    // One byte for one byte, as in lower case: that is still the same run.
    out.append_run(source, part.size(), part.size() == 1 && source.end - source.begin == 1);
    out.bytes += part;
}

void SourcedText::Builder::keep(size_t begin, size_t end) {
    const size_t all = end;
    if (begin < all && !has_room(all - begin)) return;
    for (; begin < all; begin = end) {
        run = from.run_at(begin, run);
        end = run + 1 < from.runs.size() ? std::min(all, from.runs[run + 1].begin) : all;
        const Span source = from.source_of(run, begin, end);
        out.append_run(source, end - begin, from.runs[run].is_bytewise);
        out.bytes.append(from.bytes, begin, end - begin);
    }
}

SourcedText SourcedText::Builder::finish() && { return std::move(out); }

}  // namespace koine

// Spaces of vectors: relative codes of many samples, and how well one space is found again in another. Two spaces come
// from the formula, so that numpy_peer.py has the same.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "nn/relative.h"
#include "nn/retrieval.h"
#include "tensor/gemm.h"
#include "tests/bench/bench.h"
#include "tests/golden/relative_ae.h"

namespace koine::bench {
namespace {

constexpr int64_t kRows = 20000, kFeatures = 300, kAnchors = 1000, kNearest = 10;
// Rows of a block of products: as many as keep every thread busy, and their 20 000 columns in memory.
constexpr int64_t kRowsOfBlock = 1000;

// [n, kFeatures] in [-1/2, 1/2).
Tensor space(int64_t n, uint32_t stream) {
    const Tensor x = Tensor::empty({n, kFeatures});
    for (int64_t i = 0; i < x.numel(); i++) x.data()[i] = real(testing::formula(stream, uint32_t(i)) - 0.5);
    return x;
}

// Two spaces that agree somewhat: three in four rows of the second are the nearest to their own row of the first.
struct Spaces {
    Tensor a = space(kRows, 5000), b = space(kRows, 5001);
    Spaces() {
        for (int64_t i = 0; i < a.numel(); i++) b.data()[i] += a.data()[i] / 4;
    }
};

Tensor relative_codes(const Tensor& x, const Tensor& anchors) {
    const NoGrad no_grad;
    return relative(Var(x), Var(anchors)).value;
}

// All of them, for numpy_peer.py: [20000, 1000] float32.
void write_codes() {
    if (bench_folder().empty()) return;
    const Tensor codes = relative_codes(space(kRows, 5000), space(kAnchors, 5002));
    const std::vector<float> numbers(codes.data(), codes.data() + codes.numel());
    const std::string path = bench_folder() + "/projection.f32";
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(numbers.data()), std::streamsize(numbers.size() * sizeof(float)));
    if (!out.flush()) throw DataError("IO", path, "", "cannot write");
}

// The products that a comparison of two spaces cannot do without, and nothing else: a b' and b b', a block of rows at a
// time.
Step bare_products() {
    return [spaces = std::make_shared<Spaces>(), c = Tensor::empty({kRowsOfBlock, kRows})] {
        const real* b = spaces->b.data();
        for (const Tensor& x : {spaces->a, spaces->b}) {
            for (int64_t row = 0; row < kRows; row += kRowsOfBlock) {
                gemm(Device::cpu, kRowsOfBlock, kRows, kFeatures, 1, {x.data() + row * kFeatures, kFeatures},
                     {b, kFeatures, Op::transposed}, 0, c.data(), kRows);
            }
        }
        return double(c.data()[0]);
    };
}

}  // namespace

std::vector<Workload> space_workloads() {
    Workload projection{.name = "projection", .group = "projection", .is_cpu_only = true};
    projection.make = [] {
        return [x = space(kRows, 5000), anchors = space(kAnchors, 5002)] {
            return double(relative_codes(x, anchors).data()[0]);
        };
    };
    projection.facts = gflop_of(2e-9 * double(kRows * kAnchors * kFeatures));
    projection.check = [] {
        write_codes();
        return std::vector<Value>{{"max_difference", 0}};  // the peer's is how far it is from what was written
    };

    const double gflop = 2 * 2e-9 * double(kRows) * kRows * kFeatures;
    Workload retrieval{.name = "retrieval", .group = "retrieval", .is_cpu_only = true};
    retrieval.make = [] {
        return [spaces = std::make_shared<Spaces>()] {
            return compare_by_retrieval(spaces->a, spaces->b, kNearest).jaccard;
        };
    };
    retrieval.n_steps = 3, retrieval.n_warm_up = 1;
    retrieval.facts = gflop_of(gflop);
    retrieval.check = [] {
        const Spaces spaces;
        const RetrievalScores s = compare_by_retrieval(spaces.a, spaces.b, kNearest);
        return std::vector<Value>{
            {"jaccard", s.jaccard}, {"mrr", s.mrr}, {"cosine", s.cosine}, {"top1", s.top1}, {"top_k", s.top_k}};
    };
    retrieval.may_allocate = true;  // as many buffers as threads work at the same time

    Workload bare{.name = "retrieval-bare", .group = "retrieval", .make = bare_products, .is_cpu_only = true};
    bare.n_steps = 3, bare.n_warm_up = 1;
    bare.facts = gflop_of(gflop);
    return {projection, retrieval, bare};
}

}  // namespace koine::bench

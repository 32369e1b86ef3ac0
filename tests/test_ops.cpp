// The op table, used seven ways; the eighth is tests/bench.
#include <omp.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/devices.h"
#include "tests/nmse.h"
#include "tests/op_table.h"

using namespace koine;
using namespace koine::testing;

namespace {

// The values of y and of all gradients of one row, one after the other.
struct Evaluation {
    std::vector<real> y;
    std::vector<std::vector<real>> grads;
};

std::vector<Tensor> inputs_of(const OpRow& row, Device device = Device::cpu) {
    std::vector<Tensor> in;
    for (size_t i = 0; i < row.shapes.size(); i++) in.push_back(op_input(row, i, row.shapes[i]).to(device));
    return in;
}

Tensor upstream(const Shape& shape) { return exact_normal(shape, {99, 0}); }

Evaluation evaluate(const OpRow& row, const std::vector<Tensor>& values) {
    std::vector<Var> in;
    for (const Tensor& x : values) in.push_back(Var::parameter(x));
    const Var y = row.fn(in);
    Evaluation e{y.value.to_vector(), {}};
    if (row.has_gradient) {
        backward(y, upstream(y.shape()).to(y.device()));
        for (const Var& x : in) e.grads.push_back(x.grad().to_vector());
    }
    return e;
}

void check_close(const Evaluation& a, const Evaluation& b, double tolerance) {
    CHECK(nmse(a.y, b.y) <= tolerance);
    REQUIRE(a.grads.size() == b.grads.size());
    for (size_t i = 0; i < a.grads.size(); i++) {
        INFO("gradient of input " << i);
        CHECK(nmse(a.grads[i], b.grads[i]) <= tolerance);
    }
}

constexpr bool kIsDouble = sizeof(real) == sizeof(double);
constexpr double kRounding = kIsDouble ? 1e-26 : 1e-11;  // NMSE of sums in another order

// The same numbers, laid out with every axis backwards and a gap after each element.
Tensor scattered(const Tensor& x) {
    if (x.shape.rank == 0) return x;
    Shape padded;
    for (int i = x.shape.rank - 1; i >= 0; i--) padded.append(x.shape.d[i]);
    padded.d[padded.rank - 1] *= 2;
    std::vector<int> back;
    for (int i = x.shape.rank - 1; i >= 0; i--) back.push_back(i);
    Tensor view = Tensor::full(padded, std::numeric_limits<real>::quiet_NaN(), x.device()).permute(back);
    view.shape.d[0] = x.shape.d[0];
    view.strides.d[0] *= 2;
    view.copy_from(x);
    return view;
}

}  // namespace

TEST_CASE("every op of ops.h has a row in the op table", "[ops]") {
    std::ifstream file(std::string(KOINE_SOURCE_DIR) + "/autograd/ops.h");
    REQUIRE(file.good());
    std::set<std::string> rows;
    for (const OpRow& row : op_table()) rows.insert(row.op);
    const std::regex declaration("^(?:Var|Indices) ([a-z_0-9]+)\\(");
    int n_declared = 0;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, declaration)) continue;
        n_declared++;
        INFO("op " << match[1]);
        CHECK(rows.count(match[1]) == 1);
    }
    CHECK(n_declared >= 55);
}

TEST_CASE("gradients agree with central differences", "[ops][gradcheck]") {
    if (!kIsDouble) SKIP_TEST("gradient checks need float64: make gradcheck runs them");
    const bool prints = std::getenv("KOINE_GRADCHECK_REPORT") != nullptr;
    double worst = 0;
    int n_rows = 0;
    for (const OpRow& row : op_table()) {
        if (!row.has_gradient) continue;
        const GradcheckReport report = gradcheck(row.fn, inputs_of(row));
        INFO(row.name() << "\n" << report.str());
        CHECK(report.passed);
        if (prints) std::printf("  %-42s %s\n", row.name().c_str(), report.str().c_str());
        worst = std::max(worst, report.worst);
        n_rows++;
    }
    if (prints) std::printf("  %d rows, worst relative error %.1e\n", n_rows, worst);
}

TEST_CASE("a wrong gradient is found and named", "[ops][gradcheck]") {
    if (!kIsDouble) SKIP_TEST("gradient checks need float64: make gradcheck runs them");
    // x^2 whose gradient has the wrong sign in element 2 alone.
    const auto wrong_square = [](const std::vector<Var>& in) {
        const Tensor x = in[0].value, y = Tensor::empty(x.shape);
        for (int64_t i = 0; i < x.numel(); i++) y.data()[i] = x.data()[i] * x.data()[i];
        return record("wrong_square", y, {&in[0]}, [x](const Tensor& dy, Grads& dx) {
            const GradSlot slot = dx.slot(0);
            for (int64_t i = 0; i < x.numel(); i++) slot.put(i, (i == 2 ? -2 : 2) * x.data()[i] * dy.data()[i]);
        });
    };
    const GradcheckReport report = gradcheck(wrong_square, {Tensor::from({1, 2, 3, 4}, {4})});
    CHECK_FALSE(report.passed);
    CHECK(report.argument == 0);
    CHECK(report.index == 2);
    CHECK(report.analytic == Approx(-report.numeric));
    CHECK(report.str().find("index     2") != std::string::npos);
}

TEST_CASE("gradcheck says why a float build cannot run it", "[ops][gradcheck]") {
    if (kIsDouble) SKIP_TEST("this is the float64 build");
    CHECK_ERROR(gradcheck([](const std::vector<Var>& in) { return in[0]; }, {Tensor::zeros({1})}), Error,
                "make gradcheck");
}

TEST_CASE("fresh gradients overwrite NaN, later ones add", "[ops][cuda][A13]") {
    const Device device = EACH_DEVICE();
    for (const OpRow& row : op_table()) {
        if (!row.has_gradient) continue;
        INFO(row.name() << " on " << name_of(device));
        const std::vector<Tensor> values = inputs_of(row, device);
        const Evaluation clean = evaluate(row, values);
        for (const bool is_prefilled : {false, true}) {
            std::vector<Var> in;
            for (const Tensor& x : values) {
                const real before = is_prefilled ? real(1) : std::numeric_limits<real>::quiet_NaN();
                in.push_back(Var::parameter(x, Tensor::full(x.shape, before, device)));
                in.back().node->has_grad = is_prefilled;
            }
            const Var y = row.fn(in);
            backward(y, upstream(y.shape()).to(device));
            for (size_t i = 0; i < in.size(); i++) {
                std::vector<real> expected = clean.grads[i];
                if (is_prefilled) {
                    for (real& v : expected) v += 1;
                }
                CHECK(nmse(expected, in[i].grad().to_vector()) <= kRounding);
            }
        }
    }
}

TEST_CASE("views of any strides give the same values and gradients", "[ops][cuda][A13]") {
    const Device device = EACH_DEVICE();
    for (const OpRow& row : op_table()) {
        INFO(row.name() << " on " << name_of(device));
        const std::vector<Tensor> values = inputs_of(row, device);
        const Evaluation expected = evaluate(row, values);
        for (size_t i = 0; i < values.size(); i++) {
            std::vector<Tensor> views = values;
            views[i] = scattered(values[i]);
            INFO("input " << i << " scattered");
            check_close(expected, evaluate(row, views), kRounding);
        }
    }
}

TEST_CASE("empty inputs give empty results or a ShapeError", "[ops][cuda][A13]") {
    const Device device = EACH_DEVICE();
    for (const OpRow& row : op_table()) {
        if (row.empty_shapes.empty()) continue;
        INFO(row.name() << " on " << name_of(device));
        std::vector<Tensor> values;
        for (const Shape& shape : row.empty_shapes) values.push_back(Tensor::full(shape, real(0.5), device));
        try {
            const Evaluation e = evaluate(row, values);
            for (size_t i = 0; i < values.size(); i++) CHECK(int64_t(e.grads[i].size()) == values[i].numel());
            for (real v : e.y) CHECK(std::isfinite(v) | (row.op == "logsumexp"));
        } catch (const ShapeError& error) {
            CHECK(std::string(error.what()).find(row.op) != std::string::npos);
        }
    }
}

TEST_CASE("an emulated GPU block computes what the CPU computes", "[ops][emulated][A12]") {
    if (!kernels_can_be_emulated()) SKIP_TEST("kernels by nvcc know the GPU itself, and no emulated blocks");
    const int n_threads = omp_get_max_threads();
    omp_set_num_threads(1);  // the emulation belongs to this thread
    for (const OpRow& row : op_table()) {
        INFO(row.name());
        const std::vector<Tensor> values = inputs_of(row);
        const Evaluation expected = evaluate(row, values);
        for (const int lanes : {1, 8, 32, 256}) {
            INFO(lanes << " lanes");
            const EmulateBlocks guard(lanes, uint64_t(lanes));
            check_close(expected, evaluate(row, values), kRounding);
        }
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("a GPU computes what the CPU computes", "[ops][cuda]") {
    NEED_GPU();
    for (const OpRow& row : op_table()) {
        INFO(row.name());
        const Evaluation expected = evaluate(row, inputs_of(row));
        const std::vector<Tensor> there = inputs_of(row, Device::cuda);
        const int64_t waits = cuda_waits();
        {  // nobody looks at a result here: nobody may wait
            std::vector<Var> in;
            for (const Tensor& x : there) in.push_back(Var::parameter(x));
            const Var y = row.fn(in);
            if (row.has_gradient) backward(y, y.value);
            if (row.op != "argmax") CHECK(cuda_waits() == waits);  // the row looks at the indices
        }
        const Evaluation got = evaluate(row, there);
        check_close(expected, got, kRounding);
        const Evaluation again = evaluate(row, there);
        CHECK(again.y == got.y);  // to the last bit
        CHECK(again.grads == got.grads);
    }
}

TEST_CASE("the result does not depend on the number of threads", "[ops][determinism][A26][threads]") {
    const int n_threads = omp_get_max_threads();
    for (const OpRow& row : op_table()) {
        INFO(row.name());
        const std::vector<Tensor> values = inputs_of(row);
        omp_set_num_threads(1);
        const Evaluation one = evaluate(row, values);
        for (const int n : {2, 3, 7}) {
            omp_set_num_threads(n);
            const Evaluation many = evaluate(row, values);
            CHECK(one.y == many.y);
            CHECK(one.grads == many.grads);
        }
    }
    omp_set_num_threads(n_threads);
}

TEST_CASE("misuse is answered in words", "[ops][errors][A15]") {
    std::map<std::string, int> n_errors;
    for (const OpRow& row : op_table()) {
        n_errors[row.op] += int(row.errors.size());
        for (const ErrorInput& misuse : row.errors) {
            INFO(row.name());
            CHECK_ERROR(misuse.call(), Error, misuse.text);
        }
    }
    for (const auto& [op, n] : n_errors) {
        INFO(op);
        CHECK(n >= 1);
    }
}

// The float64 build writes its values, the float build reads them: `make test` runs both, in this order.
TEST_CASE("float against float64", "[ops][precision]") {
    const char* path = std::getenv("KOINE_OP_VALUES");
    if (!path) SKIP_TEST("KOINE_OP_VALUES is not set: make test compares the two builds");
    if (kIsDouble) {
        std::ofstream out(path);
        out.precision(17);
        for (const OpRow& row : op_table()) {
            const Evaluation e = evaluate(row, inputs_of(row));
            std::vector<std::vector<real>> all{e.y};
            all.insert(all.end(), e.grads.begin(), e.grads.end());
            for (const auto& values : all) {
                out << row.name() << '\t' << values.size();
                for (real v : values) out << '\t' << v;
                out << '\n';
            }
        }
        REQUIRE(out.good());
        return;
    }
    std::ifstream in(path);
    REQUIRE(in.good());
    for (const OpRow& row : op_table()) {
        const Evaluation e = evaluate(row, inputs_of(row));
        std::vector<std::vector<real>> all{e.y};
        all.insert(all.end(), e.grads.begin(), e.grads.end());
        for (size_t part = 0; part < all.size(); part++) {
            INFO(row.name() << (part ? ", gradient " + std::to_string(part - 1) : ", value"));
            std::string line, name;
            REQUIRE(std::getline(in, line));
            std::istringstream fields(line);
            std::getline(fields, name, '\t');
            REQUIRE(name == row.name());
            size_t n = 0;
            fields >> n;
            std::vector<real> expected(n);
            for (real& v : expected) {
                double wide = 0;
                fields >> wide;
                v = real(wide);
            }
            CHECK(nmse(expected, all[part]) <= 1e-11);
        }
    }
}

// The test program: Catch2, and as its last line "N passed, N failed, N skipped" (test cases).
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

#include <cstdio>

namespace koine::testing {
namespace {

int n_skipped = 0;
size_t n_passed = 0, n_failed = 0;

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

struct CountCases : ListenerBase {
    using ListenerBase::ListenerBase;
    void testRunEnded(const Catch::TestRunStats& stats) override {
        n_passed = stats.totals.testCases.passed;
        n_failed = stats.totals.testCases.failed;
    }
};
CATCH_REGISTER_LISTENER(CountCases)

}  // namespace

void note_skipped(const std::string& why) {
    n_skipped++;
    std::fprintf(stderr, "skipped: %s\n", why.c_str());
}

}  // namespace koine::testing

int main(int argc, char** argv) {
    const int result = Catch::Session().run(argc, argv);
    using namespace koine::testing;
    std::printf("%zu passed, %zu failed, %d skipped\n", n_passed - size_t(n_skipped), n_failed, n_skipped);
    return result;
}

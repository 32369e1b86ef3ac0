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
    if (catalogue.skipped) catalogue.skipped();
    std::fprintf(stderr, "skipped: %s\n", why.c_str());
}

}  // namespace koine::testing

int main(int argc, char** argv) {
    using namespace koine::testing;
    Catch::Session session;
    if (const int wrong = session.applyCommandLine(argc, argv)) return wrong;
    if (catalogue.selection && session.configData().testsOrTags.empty()) {
        if (const std::string selection = catalogue.selection(); !selection.empty())
            session.configData().testsOrTags.push_back(selection);
    }
    int result = session.run();
    if (catalogue.finish && catalogue.finish() != 0 && result == 0) result = 1;
    std::printf("%zu passed, %zu failed, %d skipped\n", n_passed - size_t(n_skipped), n_failed, n_skipped);
    return result;
}

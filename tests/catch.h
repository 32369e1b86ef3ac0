// Catch2, version 2 (Debian 12, Ubuntu 22.04) or 3 (newer distributions), and the few helpers that every test uses.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

#include "tensor/error.h"

namespace koine::testing {

/// Counts a test case as skipped and says why. Called by SKIP_TEST.
void note_skipped(const std::string& why);

/// True when the message of the exception holds `part`; prints the whole message otherwise.
inline bool mentions(const std::string& message, const std::string& part) {
    if (message.find(part) != std::string::npos) return true;
    UNSCOPED_INFO("message was: " << message << "\n  expected to mention: " << part);
    return false;
}

}  // namespace koine::testing

// The test cannot run here (no data, no device): say so and leave the test case. Version 2 of Catch2 has no SKIP.
#define SKIP_TEST(why)                       \
    do {                                     \
        ::koine::testing::note_skipped(why); \
        SUCCEED("skipped: " << (why));       \
        return;                              \
    } while (false)

// The expression throws exactly this kind of error, and the message mentions `part`.
#define CHECK_ERROR(expression, Type, part)                                                      \
    do {                                                                                         \
        try {                                                                                    \
            (void)(expression);                                                                  \
            FAIL_CHECK(#expression " threw nothing; expected " #Type " mentioning: " << (part)); \
        } catch (const Type& caught) {                                                           \
            CHECK(::koine::testing::mentions(caught.what(), part));                              \
        }                                                                                        \
    } while (false)

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

/// What tests/catalogue.cpp wants to know and to say; nothing where it is not linked.
struct CatalogueHooks {
    /// A check has seen an error of this kind whose message holds this text ("" where none was asked for).
    void (*verified)(const std::string& kind, const std::string& text) = nullptr;
    void (*skipped)() = nullptr;
    std::string (*selection)() = nullptr;  ///< the tests to run where the command line names none; "" for all
    int (*finish)() = nullptr;             ///< after the last test: how many rows of the catalogue are not as they say
};
inline CatalogueHooks catalogue;

/// Called by every check of an error: `kind` is the class of a DataError, "OK" where a check saw that nothing is
/// thrown, and the name of the exception otherwise.
inline void note_verified(const std::string& kind, const std::string& text) {
    if (catalogue.verified) catalogue.verified(kind, text);
}
inline void note_verified(const std::exception& error, const std::string& type, const std::string& text) {
    const auto* data_error = dynamic_cast<const DataError*>(&error);
    note_verified(data_error ? data_error->kind : type, text);
}

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
            ::koine::testing::note_verified(caught, #Type, part);                                \
        }                                                                                        \
    } while (false)

// A CHECK for what must be read although it looks odd: the catalogue counts it as the answer OK.
#define CHECK_OK(...)                              \
    do {                                           \
        CHECK(__VA_ARGS__);                        \
        ::koine::testing::note_verified("OK", ""); \
    } while (false)

// data/npy.h: the header, byte by byte, as NEP 1 has it.
#include "data/npy.h"

#include "tensor/device.h"
#include "tests/catch.h"

using namespace koine;

TEST_CASE("an npy header is what NEP 1 says", "[npy]") {
    const std::string header = npy_header(3, 384);
    REQUIRE(header.size() == 128);
    CHECK(header.substr(0, 6) == "\x93NUMPY");
    CHECK(header[6] == 1);
    CHECK(header[7] == 0);
    CHECK(int(header[8]) + 256 * int(header[9]) == 118);
    const std::string type = sizeof(real) == 8 ? "<f8" : "<f4";
    const std::string dictionary = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (3, 384), }";
    CHECK(header.substr(10, dictionary.size()) == dictionary);
    CHECK(header.find_first_not_of(' ', 10 + dictionary.size()) == 127);
    CHECK(header[127] == '\n');
    CHECK(npy_header(INT64_MAX, INT64_MAX).size() == 128);
    CHECK(npy_header(INT64_MAX, INT64_MAX)[127] == '\n');
    CHECK_ERROR(npy_header(-1, 2), ValueError, "-1 x 2");
}

// Files are replaced whole, or left as they were. Full disks, kills and concurrent writers: test_checkpoint.cpp.
#include "data/files.h"

#include "data/bytes.h"
#include "tests/catch.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

TEST_CASE("write_file replaces a file whole, or leaves it and says why", "[data][X2]") {
    const ScratchFolder scratch;
    const std::string path = scratch / "a";
    write_file(path, "old");
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    write_file(path, std::string("new\0bytes", 9));
    CHECK_OK(read_text(path) == std::string("new\0bytes", 9));
    CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));

    CHECK_ERROR(write_file(scratch / "missing/a", "x"), DataError,
                "missing/a: cannot create a file beside it: No such file");
    fs::create_directory(scratch / "folder");
    CHECK_ERROR(write_file(scratch / "folder", "x"), DataError, "folder: cannot replace");

    fs::create_symlink("a", scratch / "link");
    write_file(scratch / "link", "through the link");
    CHECK(fs::is_symlink(scratch / "link"));
    CHECK(read_text(path) == "through the link");
    for (const auto& entry : fs::directory_iterator(scratch.path)) {
        CHECK(entry.path().extension() != ".tmp");
    }
}

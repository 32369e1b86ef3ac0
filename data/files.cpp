#include "data/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "tensor/error.h"

namespace koine {
namespace fs = std::filesystem;
namespace {

// The file that a symbolic link stands for, so that the link stays one.
fs::path behind_link(const fs::path& path) {
    std::error_code ignored;
    const fs::path target = fs::is_symlink(path, ignored) ? fs::canonical(path, ignored) : path;
    return target.empty() ? path : target;
}

// False, with errno, when not all of it could be written.
bool write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes.remove_prefix(size_t(n));
    }
    return true;
}

[[noreturn]] void fail_to(const char* what, const fs::path& path, int problem) {
    throw DataError("IO", path.string(), "", std::string("cannot ") + what + ": " + std::strerror(problem));
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path_) : path(behind_link(path_)) {
    static std::atomic<int> n_files = 0;
    do {  // a program that was killed may have left a file of this name, and a container reuses process ids
        const std::string unique = std::to_string(::getpid()) + "-" + std::to_string(n_files++);
        temporary = path.parent_path() / ("." + path.filename().string() + "." + unique + ".tmp");
        descriptor = ::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    } while (descriptor < 0 && errno == EEXIST);
    if (descriptor < 0) fail("create a file beside it");
    struct stat old {};
    if (::stat(path.c_str(), &old) == 0) ::fchmod(descriptor, old.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
    if (descriptor >= 0) ::close(descriptor);
    if (!is_committed) ::unlink(temporary.c_str());
}

void AtomicFile::write(std::string_view bytes) {
    if (!write_all(descriptor, bytes)) fail("write");
}

void AtomicFile::commit() {
    if (::fsync(descriptor) != 0) fail("flush");
    if (::close(std::exchange(descriptor, -1)) != 0) fail("close");
    const fs::path folder = path.parent_path();  // here: nothing may throw once the old file is gone
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail("replace");
    is_committed = true;
    // So that the new name survives a power cut, too. Not every file system can do this for a folder.
    const int at = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return;
    ::fsync(at);
    ::close(at);
}

void AtomicFile::fail(const char* what) const { fail_to(what, path, errno); }

void write_file(const fs::path& path, std::string_view bytes) {
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

void append_to_file(const fs::path& path, std::string_view bytes) {
    const int descriptor = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) fail_to("open", path, errno);
    const int problem = write_all(descriptor, bytes) ? 0 : errno;
    if (::close(descriptor) != 0 && problem == 0) fail_to("close", path, errno);
    if (problem != 0) fail_to("write", path, problem);
}

}  // namespace koine

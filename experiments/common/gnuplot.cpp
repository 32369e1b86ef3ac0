#include "experiments/common/gnuplot.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tensor/error.h"

extern char** environ;

namespace koine {
namespace {

// A file without a name, gone when closed. Files rather than pipes: no deadlock, and no SIGPIPE if the child dies.
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File temporary_file(std::string_view content = "") {
    File file(std::tmpfile(), std::fclose);
    if (!file || std::fwrite(content.data(), 1, content.size(), file.get()) != content.size() ||
        std::fflush(file.get()) != 0) {
        throw DataError("IO", "temporary file", "", std::string("cannot write: ") + std::strerror(errno));
    }
    std::rewind(file.get());
    return file;
}

std::string content_of(const File& file) {
    std::string text;
    char chunk[4096];
    std::rewind(file.get());
    while (const size_t n = std::fread(chunk, 1, sizeof chunk, file.get())) text.append(chunk, n);
    return text;
}

// The exit status of gnuplot, or 127 when there is none on the PATH: what a shell says.
int run(const File& input, const File& output, const File& errors) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fileno(input.get()), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(output.get()), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, fileno(errors.get()), STDERR_FILENO);
    char program[] = "gnuplot", no_user_settings[] = "-d";
    char* arguments[] = {program, no_user_settings, nullptr};
    pid_t child = 0;
    const int problem = posix_spawnp(&child, program, &files, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (problem != 0) return 127;

    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

std::string run_gnuplot(const std::string& script) {
    const File input = temporary_file(script), output = temporary_file(), errors = temporary_file();
    const int status = run(input, output, errors);
    if (status == 0) return content_of(output);
    if (status == 127) {
        static bool is_said = false;
        if (!is_said) std::fputs("note: gnuplot is not installed, so there will be no charts\n", stderr);
        is_said = true;
    } else {
        std::fprintf(stderr, "note: gnuplot could not draw a chart: %s\n", content_of(errors).c_str());
    }
    return "";
}

std::string gnuplot_string(std::string_view text) {
    std::string safe = "'";
    for (const char c : text) {
        const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        safe += c == '\'' ? std::string("''") : std::string(1, is_control ? ' ' : c);
    }
    return safe + "'";
}

std::string gnuplot_tick(std::string_view text) {
    std::string doubled;
    for (const char c : text) doubled += c == '%' ? std::string("%%") : std::string(1, c);
    return gnuplot_string(doubled);
}

}  // namespace koine

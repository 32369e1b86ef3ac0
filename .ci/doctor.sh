#!/bin/sh
# What Koine needs, what is there, what is missing and how to get it.
#   doctor.sh            report everything            (make doctor)
#   doctor.sh --quiet    one line per missing required package, exit 1     (run by make before it compiles)
#   doctor.sh --install  install what is missing      (make deps)
set -u
mode=${1:-}

if command -v apt-get >/dev/null 2>&1; then manager=apt
elif command -v dnf >/dev/null 2>&1; then manager=dnf
elif command -v brew >/dev/null 2>&1; then manager=brew
else manager=none; fi

have_header() {  # NAME...: one of these headers in a usual place
    for header in "$@"; do
        for dir in /usr/include /usr/include/*-linux-gnu /usr/local/include /opt/homebrew/include /opt/homebrew/opt/openblas/include; do
            [ -e "$dir/$header" ] && return 0
        done
    done
    return 1
}
have_program() { command -v "$1" >/dev/null 2>&1; }
have_libfuzzer() {  # and AddressSanitizer's runtime: some distributions have both in a package of their own
    probe=${TMPDIR:-/tmp}/koine-doctor.$$
    echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
        clang++ -fsanitize=fuzzer,address -x c++ - -o "$probe" >/dev/null 2>&1
    found=$?
    rm -f "$probe"
    return $found
}
have_libomp() { echo '#include <omp.h>' | clang++ -fopenmp -fsyntax-only -x c++ - >/dev/null 2>&1; }
# Not any cblas.h: netlib's has neither OpenBLAS's types nor its threads. Debian has a folder for each flavour.
have_openblas() {
    if [ $manager = apt ]; then have_header openblas-openmp/openblas_config.h; else have_header openblas/openblas_config.h openblas_config.h; fi
}

missing=""        # package names for the package manager
missing_required=0
say() { [ "$mode" = --quiet ] || printf '%s\n' "$*"; }

# need KIND NAME WHAT-FOR APT DNF BREW CHECK...   KIND: required | optional
need() {
    kind=$1 name=$2 purpose=$3 apt=$4 dnf=$5 brew=$6
    shift 6
    if "$@"; then
        say "  ok        $name"
        return
    fi
    case $manager in apt) package=$apt ;; dnf) package=$dnf ;; brew) package=$brew ;; *) package=$name ;; esac
    missing="$missing $package"
    if [ "$kind" = required ]; then
        missing_required=1
        if [ "$mode" = --quiet ]; then echo "missing: $name ($purpose): install $package, or run: make deps" >&2; fi
        say "  MISSING   $name: $purpose. Package: $package"
    else
        say "  absent    $name: $purpose. Package: $package"
    fi
}

say "Koine needs:"
need required g++       "the compiler, C++20"                  g++                   gcc-c++         gcc            have_program "${CXX:-g++}"
need required OpenBLAS  "matrix products, OpenMP flavour"      libopenblas-openmp-dev openblas-devel openblas       have_openblas
need required zlib      "gzip files"                           zlib1g-dev            zlib-devel      zlib           have_header zlib.h
need required libpng    "pictures"                             libpng-dev            libpng-devel    libpng         have_header png.h
need required utf8proc  "Unicode: classes of letters, normal forms" libutf8proc-dev   utf8proc-devel  utf8proc       have_header utf8proc.h
need required CLI11     "command-line switches"                libcli11-dev          cli11-devel     cli11          have_header CLI/CLI.hpp
need required json      "nlohmann-json: configs and metrics"   nlohmann-json3-dev    json-devel      nlohmann-json  have_header nlohmann/json.hpp
need required Catch2    "the tests"                            catch2                catch2-devel    catch2         have_header catch2/catch.hpp catch2/catch_all.hpp
need optional curl      "fetching data sets"                   curl                  curl            curl           have_program curl
need optional gnuplot   "charts; without it runs have none"    gnuplot-nox           gnuplot-minimal gnuplot        have_program gnuplot
if [ -n "${FUZZ:-}" ]; then  # make deps FUZZ=1
    need optional libFuzzer "make fuzz: clang, its sanitizers" clang                 "clang compiler-rt" llvm       have_libfuzzer
    need optional libomp  "make fuzz, OpenMP for clang"        libomp-dev            libomp-devel    libomp         have_libomp
fi

if [ "$mode" = --install ]; then
    [ -n "$missing" ] || { echo "nothing to install"; exit 0; }
    sudo=""
    [ "$(id -u)" = 0 ] || [ "$manager" = brew ] || sudo=sudo
    echo "installing:$missing"
    # shellcheck disable=SC2086  # the list is meant to be split
    case $manager in
        apt)
            $sudo apt-get update -qq
            case " $missing " in
            *" clang "*) if apt-cache show libclang-rt-dev >/dev/null 2>&1; then missing="$missing libclang-rt-dev"; fi ;;
            esac
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ;;
        dnf) $sudo dnf install -y -q $missing ;;
        brew) brew install -q $missing ;;
        *) echo "no apt-get, dnf or brew here: install these by hand:$missing" >&2; exit 1 ;;
    esac
    exit
fi
if [ "$mode" = --quiet ]; then exit $missing_required; fi

# The kernels that OpenBLAS chooses for this processor, asked from the library itself.
blas_kernel() {
    program=$(mktemp) || return
    library=${flavour:+"-L$flavour -Wl,-rpath,$flavour -lopenblas"}
    # shellcheck disable=SC2086  # a list of flags
    echo '#include <cstdio>
extern "C" char* openblas_get_corename();
int main() { std::printf("Kernels: %s", openblas_get_corename()); }' |
        ${CXX:-g++} -x c++ - -x none ${library:--lopenblaso} -o "$program" 2>/dev/null && "$program"
    rm -f "$program"
}

say ""
say "This machine:"
say "  compiler  $(${CXX:-g++} --version 2>/dev/null | head -n 1)"
say "  cores     $(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null)"
flavour=$(ls -d /usr/lib/*/openblas-openmp 2>/dev/null | head -n 1)
if [ -n "$flavour" ] || [ -e /usr/lib64/libopenblaso.so ]; then
    say "  BLAS      OpenBLAS, OpenMP flavour: good. $(blas_kernel)"
elif have_openblas; then
    say "  BLAS      OpenBLAS, but not the OpenMP flavour: its threads will fight ours. Set OPENBLAS_NUM_THREADS=1"
fi
if echo 'int main() { return 0; }' | ${CXX:-g++} -fopenmp -x c++ - -o /dev/null 2>/dev/null; then
    say "  OpenMP    ok"
else
    say "  OpenMP    the compiler does not take -fopenmp: one core will be used (macOS: brew install gcc, make CXX=g++-14)"
fi
if have_program nvcc; then
    say "  nvcc      $(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
else
    say "  nvcc      none: CPU only. The CUDA Toolkit brings it"
fi
if [ -e /dev/nvidia0 ]; then
    say "  GPU       $(nvidia-smi -L 2>/dev/null | head -n 1)"
else
    say "  GPU       none"
fi
if [ -n "$missing" ]; then
    say ""
    say "To install what is missing: make deps   ($manager:$missing)"
fi
exit 0

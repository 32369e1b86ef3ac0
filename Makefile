# Koine. `make deps && make && ./experiments/ae_stitch` is the whole story; `make help` lists the rest.
#
#   CUDA=0|1|fake|auto   1: kernels for GPUs, through nvcc (auto: when nvcc and a GPU are both there); fake: the GPU path
#                        through g++, run by tests/fake_cuda
#   CUDA_ARCH="75 90"    the GPUs that CUDA=1 compiles for (native: the one of this machine)
#   ARCH=native          -march= for g++              (x86-64-v3: a binary that runs under valgrind)
#   REAL=float           float | double               (double is the precision of the gradient checks)
#   SAN=0|1|thread       1: AddressSanitizer and UndefinedBehaviorSanitizer; thread: ThreadSanitizer, with CXX=clang++
# Each combination keeps its objects in a folder of its own below build/, so that switching never mixes them.

VERSION := 0.1.0
CUDA ?= auto
ARCH ?= native
REAL ?= float
SAN  ?= 0
# Turing, Ampere (100 and 30 series), Ada, Hopper, Blackwell (data centre and 50 series); newer ones compile the last's
# PTX when they first run it.
CUDA_ARCH ?= 75 80 86 89 90 100 120

NVCC := $(shell command -v nvcc 2>/dev/null)
ifeq ($(CUDA),auto)
  override CUDA := $(if $(and $(NVCC),$(wildcard /dev/nvidia0)),1,0)
endif
ifeq ($(CUDA):$(NVCC),1:)
  $(error CUDA=1 needs nvcc on the PATH: install the CUDA Toolkit, or build with CUDA=0)
endif

# Files without kernels are the same with and without a GPU, and are compiled once, by g++, in HOST.
HOST  := build/$(REAL)-$(ARCH)$(if $(filter 1,$(SAN)),-san)$(if $(filter thread,$(SAN)),-tsan)
BUILD := $(HOST)$(if $(filter 1,$(CUDA)),-cuda)$(if $(filter fake,$(CUDA)),-fake)
# The float build leaves its programs where the README says; every other build keeps them in its own folder.
bin_of = $(if $(filter build/float-native build/float-native-cuda,$(1)),experiments,$(1)/experiments)
BIN   := $(call bin_of,$(BUILD))

# ---- libraries -------------------------------------------------------------------------------------------------
# OpenBLAS in its OpenMP flavour: the pthread flavour fights our loops (up to 30 x slower: OpenBLAS issue 3187).
# Debian and Ubuntu keep it in a folder of its own, Fedora calls it openblaso, Homebrew has one openblas.
BLAS_DIR := $(patsubst %/libopenblas.so,%,$(firstword $(wildcard /usr/lib/*/openblas-openmp/libopenblas.so)))
BREW_DIR := $(shell brew --prefix openblas 2>/dev/null)
ifneq ($(BLAS_DIR),)
  BLAS_CFLAGS := -I$(firstword $(wildcard /usr/include/*/openblas-openmp))
  BLAS_LIBS   := -L$(BLAS_DIR) -Wl,-rpath,$(BLAS_DIR) -lopenblas
else ifneq ($(wildcard /usr/lib64/libopenblaso.so),)
  BLAS_CFLAGS := -I/usr/include/openblas
  BLAS_LIBS   := -lopenblaso
else ifneq ($(BREW_DIR),)
  BLAS_CFLAGS := -I$(BREW_DIR)/include
  BLAS_LIBS   := -L$(BREW_DIR)/lib -Wl,-rpath,$(BREW_DIR)/lib -lopenblas
else
  BLAS_LIBS   := -lopenblas
endif
LIBS := $(BLAS_LIBS) -lpng -lutf8proc -lz
# Catch2 3 is a library, Catch2 2 a header.
CATCH_LIBS := $(if $(wildcard $(addsuffix /include/catch2/catch_all.hpp,/usr /usr/local /opt/homebrew)),-lCatch2)

# ---- flags -----------------------------------------------------------------------------------------------------
CPPFLAGS := -I. -DREAL=$(REAL) -DKOINE_VERSION='"$(VERSION)"' -DKOINE_SOURCE_DIR='"$(CURDIR)"' \
            -DKOINE_PROGRAMS='"$(CURDIR)/$(call bin_of,$(HOST))"' $(BLAS_CFLAGS)
# g++ 12 sees overlapping copies in std::string that are not there (GCC bug 105651).
WARN     := -Wall -Wextra -Wshadow -Werror -Wno-restrict -Wno-unknown-warning-option
OPT      := -O3 -march=$(ARCH) -fno-math-errno -fno-trapping-math
ifeq ($(SAN),1)
  OPT := -O1 -g1 -march=$(ARCH) -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
         -Wno-maybe-uninitialized
else ifeq ($(SAN),thread)
  OPT := -O1 -gline-tables-only -march=$(ARCH) -fsanitize=thread -fno-omit-frame-pointer
  WARN += -Wno-pass-failed -Wno-bitwise-instead-of-logical
endif
HOSTFLAGS  = $(OPT) -fopenmp $(WARN)
DEPFLAGS   = -MMD -MP -MF $(@:.o=.d)
COMPILE    = $(CXX) -std=c++20 $(HOSTFLAGS) $(CPPFLAGS)
LINK      := $(CXX) $(OPT) -fopenmp
ifeq ($(CUDA),1)
  # Kernels: nvcc compiles them for the GPUs, and hands what is left to g++ with HOSTFLAGS.
  comma    := ,
  NEWEST   := $(lastword $(CUDA_ARCH))
  GENCODE  := $(if $(filter native,$(CUDA_ARCH)),-arch=native,\
                $(foreach a,$(CUDA_ARCH:sm_%=%),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
                -gencode arch=compute_$(NEWEST:sm_%=%)$(comma)code=compute_$(NEWEST:sm_%=%))
  KERNELS   = $(NVCC) -x cu -std=c++20 -O3 $(GENCODE) --threads 2 --expt-relaxed-constexpr \
              $(foreach f,$(filter-out -Wshadow,$(HOSTFLAGS)),-Xcompiler $(f)) $(CPPFLAGS) \
              -DKOINE_CUDA -DKOINE_CUDA_ARCH='"$(CUDA_ARCH)"'
  LINK     := $(NVCC) $(GENCODE) $(foreach f,$(OPT) -fopenmp,-Xcompiler $(f))
  LIBS     := $(subst -Wl$(comma),-Xlinker ,$(subst -Wl$(comma)-rpath$(comma),-Xlinker -rpath -Xlinker ,$(LIBS))) -lcublas
else
  KERNELS   = $(COMPILE) -DKOINE_CUDA -DKOINE_FAKE_CUDA -DKOINE_CUDA_ARCH='"fake"' -Itests/fake_cuda
endif

# ---- what is built from what ---------------------------------------------------------------------------------------
LIB_SRC    := $(wildcard tensor/*.cpp autograd/*.cpp nn/*.cpp data/*.cpp)
COMMON_SRC := $(wildcard experiments/common/*.cpp)
TEST_SRC   := $(wildcard tests/*.cpp)
BENCH_SRC  := $(wildcard tests/bench/*.cpp)
PROGRAMS   := $(patsubst experiments/%.cpp,$(BIN)/%,$(wildcard experiments/*.cpp))
# What differs in a build with a GPU: files with kernels, and those that talk to CUDA.
KERNEL_SRC := $(if $(filter 0,$(CUDA)),,$(shell grep -lE 'KOINE_CUDA|\bHD\b|for_each|for_rows|return map<|return zip<' \
                tensor/*.cpp autograd/*.cpp nn/*.cpp))
ifeq ($(CUDA),fake)
  FAKE_SRC := $(filter-out tests/fake_cuda/test_%,$(wildcard tests/fake_cuda/*.cpp))
  KERNEL_SRC += $(wildcard tests/fake_cuda/*.cpp)
  LIB_SRC    += $(FAKE_SRC)
  TEST_SRC   += $(wildcard tests/fake_cuda/test_*.cpp)
endif
objects     = $(patsubst %.cpp,$(BUILD)/%.o,$(filter $(KERNEL_SRC),$(1))) \
              $(patsubst %.cpp,$(HOST)/%.o,$(filter-out $(KERNEL_SRC),$(1)))

.PHONY: all deps doctor test gradcheck sanitize smoke check bench cuda-compile fake-cuda clean format help
all: $(BUILD)/libkoine.a $(PROGRAMS)

# `make` alone uses every core: there is nothing to remember.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
  MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

$(BUILD)/libkoine.a: $(call objects,$(LIB_SRC))
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/libcommon.a: $(call objects,$(COMMON_SRC))
	@rm -f $@
	@ar rcs $@ $^

$(BIN)/%: $(HOST)/experiments/%.o $(BUILD)/libcommon.a $(BUILD)/libkoine.a
	@mkdir -p $(@D)
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(LIBS)

# The tests call the programs, too.
$(BUILD)/koine_tests: $(call objects,$(TEST_SRC)) $(BUILD)/libcommon.a $(BUILD)/libkoine.a | $(PROGRAMS)
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(CATCH_LIBS) $(LIBS)

$(BUILD)/koine_bench: $(call objects,$(BENCH_SRC)) $(BUILD)/libkoine.a
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(LIBS)

# Tests take longer to compile than to run: hardly optimised, and not at all under the sanitizers, but for the slow twins of
# convolutions. Benchmarks are not tests.
$(HOST)/tests/%.o: OPT := $(if $(filter 0,$(SAN)),$(subst -O3,-O1,$(OPT)),$(subst -O1,-O0,$(OPT)))
$(HOST)/tests/bench/%.o $(HOST)/tests/test_conv.o: OPT := $(OPT)

$(HOST)/%.o: %.cpp $(HOST)/checked
	@mkdir -p $(@D)
	@echo "  compile  $<"
	@$(COMPILE) $(DEPFLAGS) -c $< -o $@

ifneq ($(BUILD),$(HOST))
$(BUILD)/%.o: %.cpp $(HOST)/checked
	@mkdir -p $(@D)
	@echo "  $(if $(filter 1,$(CUDA)),nvcc    ,fake GPU) $<"
	@$(KERNELS) $(DEPFLAGS) -c $< -o $@
endif

.SECONDARY:
-include $(shell find $(HOST) $(BUILD) -name '*.d' 2>/dev/null)

# One line per missing package instead of a page of compiler errors. Runs once per build folder.
$(HOST)/checked:
	@mkdir -p $(@D)
	@sh .ci/doctor.sh --quiet
	@touch $@

deps:
	@FUZZ=$(FUZZ) sh .ci/doctor.sh --install

doctor:
	@sh .ci/doctor.sh

# ---- tests ---------------------------------------------------------------------------------------------------------
# Passive waiting: on a busy machine a spinning OpenMP thread turns a 32 us loop into 8 ms.
PASSIVE   := OMP_WAIT_POLICY=passive
SUBMAKE   := $(MAKE) --no-print-directory
DOUBLE    := build/double-$(ARCH)
OP_VALUES := build/op_values.txt

# Both precisions: the float64 build checks gradients and writes every op's values, the float build compares its own.
# Tests are shared by builds with and without a GPU, whose programs are not: KOINE_PROGRAMS says whose to call.
test: $(BUILD)/koine_tests
	+@$(SUBMAKE) REAL=double CUDA=0 SAN=0 $(DOUBLE)/koine_tests
	@$(PASSIVE) KOINE_OP_VALUES=$(OP_VALUES) $(DOUBLE)/koine_tests --use-colour no
	@$(PASSIVE) KOINE_OP_VALUES=$(OP_VALUES) KOINE_PROGRAMS=$(CURDIR)/$(BIN) $(BUILD)/koine_tests --use-colour no

gradcheck:
	+@$(SUBMAKE) REAL=double CUDA=0 SAN=0 $(DOUBLE)/koine_tests
	@$(PASSIVE) KOINE_GRADCHECK_REPORT=1 $(DOUBLE)/koine_tests "[gradcheck]"

# The table of the catalogue of bad inputs in tests/README.md is what its tests have verified; the check makes it anew and
# wants the same. On the CPU and in float, without data: what everybody has.
CATALOGUE := $(PASSIVE) KOINE_DATA= build/float-$(ARCH)/koine_tests --use-colour no
.PHONY: catalogue catalogue-check
catalogue:
	+@$(SUBMAKE) REAL=float CUDA=0 SAN=0 build/float-$(ARCH)/koine_tests
	@KOINE_CATALOGUE=tests/README.md $(CATALOGUE)

catalogue-check:
	+@$(SUBMAKE) REAL=float CUDA=0 SAN=0 build/float-$(ARCH)/koine_tests
	@cp tests/README.md build/catalogue.md
	@KOINE_CATALOGUE=build/catalogue.md $(CATALOGUE)
	@diff tests/README.md build/catalogue.md || { echo "tests/README.md is not what its tests say: make catalogue"; exit 1; }

.PHONY: sanitize-build
sanitize-build:
	+@$(SUBMAKE) CUDA=0 SAN=1 build/float-$(ARCH)-san/koine_tests
sanitize: sanitize-build
	@$(PASSIVE) build/float-$(ARCH)-san/koine_tests --use-colour no

# Every experiment once, end to end, on generated data; stitch and invariance on a model that was trained for that.
SMOKE     := $(BUILD)/smoke
CKPT      := $(SMOKE)/ae_stitch/ckpt/relative
TRAINING  := $(addprefix $(BIN)/,ae_stitch vae_stitch)
smoke: $(PROGRAMS)
	@rm -rf $(SMOKE)
	@for p in $(TRAINING); do \
	  echo "  smoke    $$p"; \
	  $$p --data-set synthetic --train-limit 300 --test-limit 60 --epochs 1 --out $(SMOKE)/$$(basename $$p) --quiet || exit 1; \
	done
	@echo "  smoke    $(BIN)/stitch"
	@$(BIN)/stitch --a $(CKPT)-0.safetensors --b $(CKPT)-1.safetensors --test-limit 60 --out $(SMOKE)/stitch --quiet
	@echo "  smoke    $(BIN)/invariance"
	@$(BIN)/invariance --checkpoint $(CKPT)-0.safetensors --test-limit 60 --out $(SMOKE)/invariance --quiet
	@echo "  smoke    $(BIN)/word_embeddings"
	@$(BIN)/word_embeddings --data-set synthetic --n-words 500 --seeds 2 --out $(SMOKE)/word_embeddings --quiet
	@echo "  smoke    $(BIN)/latent_similarity"
	@$(BIN)/latent_similarity --data-set synthetic --train-limit 200 --test-limit 60 --models 1,2 --anchors 50 \
	  --out $(SMOKE)/latent_similarity --quiet
	@echo "  smoke    $(BIN)/text_classification"
	@$(BIN)/text_classification --data-set synthetic --train-limit 300 --test-limit 90 --seeds 2 --epochs 4 --sweep 50 \
	  --out $(SMOKE)/text_classification --quiet
	@$(BIN)/text_classification --data-set synthetic --explain "bada" --quiet
	@echo "  smoke    $(BIN)/words"
	@$(BIN)/words translate baba --data-set synthetic --quiet
	@echo "  smoke    $(BIN)/embed"
	@printf 'the cat\na dog, the cats!\n' | $(BIN)/embed --model tests/golden/pretrained/bert --no-cache --format tsv --quiet \
	  > $(SMOKE)/vectors.tsv
	@printf '"the cat"\n' | $(BIN)/embed --model tests/golden/pretrained/bert --ids --jsonl --quiet

check: test sanitize smoke

# README=1 puts the table into README.md. PYTHON, PAIRS, DEVICE and WORKLOADS: tests/bench/run.py.
.PHONY: bench-scaling
bench: $(BUILD)/koine_bench
	@$(call has,python3,bench,python3)
	@BENCH=$(BUILD)/koine_bench python3 tests/bench/run.py $(if $(README),--readme)

bench-scaling: $(BUILD)/koine_bench
	@$(call has,python3,bench-scaling,python3)
	@BENCH=$(BUILD)/koine_bench python3 tests/bench/run.py --scaling

# Every kernel through nvcc, and all linked. No GPU is needed: the programs run their CPU path, and say what is missing
# for the other.
NVCC_BUILD := build/$(REAL)-$(ARCH)-cuda
cuda-compile:
	+@$(SUBMAKE) CUDA=1 CUDA_ARCH=80 BIN=$(NVCC_BUILD)/experiments all
	@$(NVCC_BUILD)/experiments/ae_stitch --data-set synthetic --train-limit 64 --test-limit 20 --epochs 1 --quiet \
	  --out $(NVCC_BUILD)/ae_stitch
	@status=0; $(NVCC_BUILD)/experiments/ae_stitch --data-set synthetic --device cuda --out $(NVCC_BUILD)/no_gpu || status=$$?; \
	  test -e /dev/nvidia0 || test $$status = 4

# What uses a GPU, every experiment among it, on one that is made of host memory (tests/fake_cuda).
FAKE := build/$(REAL)-$(ARCH)-fake
fake-cuda:
	+@$(SUBMAKE) CUDA=fake SAN=0 all $(FAKE)/koine_tests
	@$(PASSIVE) KOINE_PROGRAMS=$(CURDIR)/$(FAKE)/experiments $(FAKE)/koine_tests --use-colour no "[cuda]"

# Every format against every damage, loaders and writers on a system that fails (tests/hostile). Its malloc and its
# read() stand in front of the C library's, so it is a program of its own.
HOSTILE_SRC := $(wildcard tests/hostile/*.cpp)
HOSTILE     := build/float-$(ARCH)/koine_hostile
.PHONY: hostile
hostile:
	+@$(SUBMAKE) CUDA=0 SAN=0 REAL=float $(HOSTILE)
	@$(PASSIVE) TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo /tmp) $(HOSTILE) --use-colour no

# Runs of four experiments are killed fifty times, and resumed; `make test` does it ten times.
.PHONY: kills
kills:
	+@$(SUBMAKE) CUDA=0 SAN=0 REAL=float build/float-$(ARCH)/koine_tests
	@$(PASSIVE) KOINE_KILLS=1 build/float-$(ARCH)/koine_tests --use-colour no "X1: runs that are killed*"

$(BUILD)/koine_hostile: $(call objects,$(HOSTILE_SRC) tests/main.cpp) $(BUILD)/libcommon.a $(BUILD)/libkoine.a
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(CATCH_LIBS) $(LIBS) -ldl

# ---- analysis ------------------------------------------------------------------------------------------------------
# What other programs find in the sources and in the tests. None of them is needed for anything else.
# has: $(call has,PROGRAM TARGET PACKAGES)
has = command -v $(1) > /dev/null || { echo "make $(2) needs $(1) (Debian, Ubuntu: apt install $(3))"; exit 1; }

# Lines and branches of data/ and nn/ that the tests reach, the programs not counted. Those files are compiled anew,
# with counters (nn/, which trains, a little optimised); all others are the normal build's. The gate is for what reads untrusted files; a branch that only an
# exception takes is no branch. No real data, and none of the tests that need optimised code: they would take minutes.
# Nor do limits of time and memory hold there, so failures are make test's business, but the tests must reach their end.
COVERAGE     := build/coverage
COVERED_SRC  := $(wildcard data/*.cpp nn/*.cpp)
COVERED_OBJ  := $(COVERED_SRC:%.cpp=$(COVERAGE)/%.o)
COVERED_WITH := ~[programs]~[conv]~[gemm]~[ops]~[emulated]~[fetch]~[real]~\"the four attacks*\"~\"S12*\",\"hub: a model that is nowhere*\"
GCOVR        := gcovr --root . --object-directory $(COVERAGE) --exclude-throw-branches --exclude-unreachable-branches
GATE         := --filter data/ --filter nn/checkpoint

.PHONY: coverage
coverage:
	@$(call has,gcovr,coverage,gcovr)
	+@$(SUBMAKE) CUDA=0 SAN=0 REAL=float $(COVERAGE)/koine_tests
	@find $(COVERAGE) -name '*.gcda' -delete
	@env -u KOINE_DATA $(PASSIVE) $(COVERAGE)/koine_tests --use-colour no "$(COVERED_WITH)" > $(COVERAGE)/tests.log 2>&1; \
	  tail -n 1 $(COVERAGE)/tests.log | grep ' passed, ' || { tail -n 40 $(COVERAGE)/tests.log; exit 1; }
	@$(GCOVR) --filter nn/ $(COVERAGE)
	@$(GCOVR) $(GATE) $(COVERAGE)
	@$(GCOVR) $(GATE) --branches --fail-under-line 95 --fail-under-branch 85 $(COVERAGE)

# Its own objects first: of an inline function that several have, the linker takes the first.
$(COVERAGE)/koine_tests: $(COVERED_OBJ) $(call objects,$(TEST_SRC) $(filter-out $(COVERED_SRC),$(LIB_SRC)) $(COMMON_SRC)) | $(PROGRAMS)
	@echo "  link     $@"
	@$(LINK) --coverage -o $@ $^ $(CATCH_LIBS) $(LIBS)

$(COVERAGE)/%.o: %.cpp $(HOST)/checked
	@mkdir -p $(@D)
	@echo "  counters $<"
	@$(COMPILE) $(if $(filter data/% nn/checkpoint.cpp,$<),-O0,-O1) --coverage -fprofile-update=atomic $(DEPFLAGS) -c $< -o $@

-include $(shell find $(COVERAGE) -name '*.d' 2>/dev/null)

# ThreadSanitizer, on the tests that run threads (tag [threads]). g++'s OpenMP makes it see races where there are none;
# clang's has Archer, which tells it what a parallel loop is. OpenBLAS is not instrumented.
TSAN_TESTS := tests/main.cpp tests/catalogue.cpp $(shell grep -l '\[threads\]' tests/*.cpp)
TSAN_ENV   := OMP_NUM_THREADS=4 TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=66
.PHONY: tsan
tsan:
	@$(call has,clang++,tsan,clang libomp-dev)
	+@$(SUBMAKE) CUDA=0 SAN=thread REAL=float CXX=clang++ tsan-run

ifeq ($(SAN),thread)
.PHONY: tsan-run
tsan-run: $(BUILD)/koine_threads $(BIN)/text_classification
	@archer=$$(ls $$(dirname $$(readlink -f $$(command -v $(CXX))))/../lib/libarcher.so) || exit 1; \
	  env $(PASSIVE) $(TSAN_ENV) OMP_TOOL_LIBRARIES=$$archer $(BUILD)/koine_threads --use-colour no "[threads]"

$(BUILD)/koine_threads: $(call objects,$(TSAN_TESTS)) $(BUILD)/libcommon.a $(BUILD)/libkoine.a
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(CATCH_LIBS) $(LIBS)
endif

# Memcheck, on the loaders and a few training steps; a quarter of an hour, so not part of CI. Valgrind does not know AVX-512.
# Limits of time and memory do not hold under it: failures of tests are make test's business, errors of memory are ours.
VALGRIND_ARCH  := x86-64-v3
VALGRIND_BUILD := build/float-$(VALGRIND_ARCH)
VALGRIND_TESTS := $(patsubst %,tests/test_%.cpp,bytes gzip idx tar cifar csv json safetensors weights zip torch_pickle \
                    word_vectors fasttext tokenizer tokenizer_json sentencepiece_model protobuf checkpoint training) \
                  tests/main.cpp tests/catalogue.cpp
VALGRIND       := valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
                  --errors-for-leak-kinds=definite --suppressions=.ci/valgrind.supp
VALGRIND_WITH  ?= ~[real]~[programs]~\"the four attacks*\"~\"S12*\"~\"X1:*\"~\"training gives*\"~\"long texts take*\"
.PHONY: valgrind
valgrind:
	@$(call has,valgrind,valgrind,valgrind)
	+@$(SUBMAKE) CUDA=0 SAN=0 REAL=float ARCH=$(VALGRIND_ARCH) $(VALGRIND_BUILD)/koine_valgrind
	@OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell $(VALGRIND) $(VALGRIND_BUILD)/koine_valgrind --use-colour no \
	  "$(VALGRIND_WITH)" > $(VALGRIND_BUILD)/valgrind.log 2>&1; status=$$?; tail -n 1 $(VALGRIND_BUILD)/valgrind.log; \
	  test $$status -eq 0 || { grep -E '^==|FAILED' $(VALGRIND_BUILD)/valgrind.log | head -n 60; exit 1; }

$(VALGRIND_BUILD)/koine_valgrind: $(call objects,$(VALGRIND_TESTS)) $(BUILD)/libcommon.a $(BUILD)/libkoine.a
	@echo "  link     $@"
	@$(LINK) -o $@ $^ $(CATCH_LIBS) $(LIBS)

# clang-tidy (what is on, and what is off and why: .clang-tidy), for some files with FILES="data/zip.cpp"; cppcheck.
CHECKED_SRC := $(LIB_SRC) $(COMMON_SRC) $(wildcard experiments/*.cpp)
FILES       := $(CHECKED_SRC)
.PHONY: tidy cppcheck
tidy:
	@$(call has,clang-tidy,tidy,clang-tidy libomp-dev)
	@printf '%s\n' $(FILES) | xargs -P $$(nproc) -I {} clang-tidy --quiet {} -- -std=c++20 -fopenmp $(CPPFLAGS)

cppcheck:
	@$(call has,cppcheck,cppcheck,cppcheck)
	@mkdir -p build/cppcheck
	@cppcheck --std=c++20 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 --quiet \
	  --suppressions-list=.ci/cppcheck.txt --cppcheck-build-dir=build/cppcheck -j $$(nproc) -I. -DREAL=float $(CHECKED_SRC)

# ---- fuzzing -------------------------------------------------------------------------------------------------------
# The readers of untrusted files, on damaged ones. libFuzzer is part of clang, which nothing else here needs: it compiles
# readers and targets; what they call beside that is the library that g++ has made.
SECONDS      := 60
FUZZ_CXX     := clang++
FUZZ_LIB     := build/float-$(ARCH)
FUZZ_CHECKS  := address,undefined,float-cast-overflow,integer -fsanitize-ignorelist=tests/fuzz/ignore.txt
FUZZ_FLAGS   := -std=c++20 -O1 -gline-tables-only -fopenmp -fno-sanitize-recover=all -I. -DREAL=float \
                -DKOINE_VERSION='"$(VERSION)"' -DKOINE_SOURCE_DIR='"$(CURDIR)"'
# Of data/, without what reads nothing; of the others, what does.
FUZZ_SRC     := $(filter-out $(addprefix data/,augment.cpp batches.cpp prefetch.cpp synthetic.cpp synthetic_texts.cpp \
                  word_pair.cpp),$(wildcard data/*.cpp)) \
                $(addprefix nn/,autoencoder.cpp checkpoint.cpp module.cpp names.cpp pretrained.cpp pretrained_config.cpp) \
                $(addprefix experiments/common/,flags.cpp image_data.cpp run.cpp text.cpp train_log.cpp)
FUZZ_NAMES   := $(patsubst tests/fuzz/%.cpp,%,$(wildcard tests/fuzz/*.cpp))
FUZZ_TARGETS := $(FUZZ_NAMES:%=build/fuzz/%)
FUZZ_TOOL    := python3 tests/fuzz/fuzz.py

# Each of these is a job of its own for every target, as many at once as make has jobs; the last line is the table, and
# what fails on a finding.
FUZZ_RUNS    := $(FUZZ_NAMES:%=fuzz-%) $(FUZZ_NAMES:%=fuzz-replay-%) $(FUZZ_NAMES:%=fuzz-corpus-%)
.PHONY: fuzz fuzz-replay fuzz-corpus fuzz-seeds fuzz-samples fuzz-library fuzz-checked $(FUZZ_RUNS)
fuzz: $(FUZZ_NAMES:%=fuzz-%)
	@$(FUZZ_TOOL) table $(FUZZ_NAMES)
fuzz-replay: $(FUZZ_NAMES:%=fuzz-replay-%)
	@$(FUZZ_TOOL) table $(FUZZ_NAMES)
fuzz-corpus: $(FUZZ_NAMES:%=fuzz-corpus-%)

$(FUZZ_NAMES:%=fuzz-%): fuzz-%: build/fuzz/% fuzz-seeds
	@echo "  fuzz     $*, $(SECONDS) s"
	@$(FUZZ_TOOL) fuzz $* $(SECONDS)
$(FUZZ_NAMES:%=fuzz-replay-%): fuzz-replay-%: build/fuzz/% fuzz-seeds
	@echo "  replay   $*"
	@$(FUZZ_TOOL) replay $*
$(FUZZ_NAMES:%=fuzz-corpus-%): fuzz-corpus-%: build/fuzz/% fuzz-seeds fuzz-samples
	@echo "  corpus   $*"
	@$(FUZZ_TOOL) corpus $*

fuzz-seeds:
	@$(FUZZ_TOOL) seeds $(FUZZ_NAMES)

fuzz-samples:
	+@$(SUBMAKE) REAL=float CUDA=0 SAN=0 $(FUZZ_LIB)/koine_tests
	@$(FUZZ_TOOL) samples $(FUZZ_LIB)/koine_tests

$(FUZZ_TARGETS): build/fuzz/%: build/fuzz/tests/fuzz/%.o build/fuzz/libreaders.a | fuzz-library
	@echo "  link     $@"
	@$(FUZZ_CXX) -fopenmp -fsanitize=fuzzer,$(FUZZ_CHECKS) -o $@ $< -Wl,--start-group build/fuzz/libreaders.a \
	  $(FUZZ_LIB)/libcommon.a $(FUZZ_LIB)/libkoine.a -Wl,--end-group -Wl,--as-needed $(LIBS)

build/fuzz/libreaders.a: $(FUZZ_SRC:%.cpp=build/fuzz/%.o)
	@rm -f $@
	@ar rcs $@ $^

build/fuzz/%.o: %.cpp tests/fuzz/ignore.txt | fuzz-checked
	@mkdir -p $(@D)
	@echo "  clang    $<"
	@$(FUZZ_CXX) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_CHECKS) $(DEPFLAGS) -c $< -o $@

-include $(shell find build/fuzz -name '*.d' 2>/dev/null)

fuzz-library:
	+@$(SUBMAKE) REAL=float CUDA=0 SAN=0 $(FUZZ_LIB)/libkoine.a $(FUZZ_LIB)/libcommon.a

fuzz-checked:
	@echo '#include <omp.h>' | $(FUZZ_CXX) -fopenmp -fsyntax-only -x c++ - 2>/dev/null || \
	  { echo "make fuzz needs clang++ with libFuzzer and OpenMP: make deps FUZZ=1 installs them"; exit 1; }

clean:
	rm -rf build $(PROGRAMS)

format:
	clang-format -i $$(git ls-files '*.h' '*.cpp')

help:
	@echo "make deps          install what is missing (apt, dnf or brew)"
	@echo "make               libkoine.a and the programs below experiments/"
	@echo "make test          all tests, in float64 and in float"
	@echo "make gradcheck     the gradient checks alone, one line per op"
	@echo "make catalogue     the table of bad inputs in tests/README.md, from what its tests verify (catalogue-check: the same?)"
	@echo "make check         test, sanitize and smoke"
	@echo "make sanitize      all tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make smoke         every experiment once on generated data"
	@echo "make bench         times beside those of PyTorch and others, where PYTHON=... has them; README=1: into README.md"
	@echo "make bench-scaling cost against batch, image size, tokens and words, by threads: a figure"
	@echo "make fuzz          damaged files for the readers, SECONDS=60 for each target (needs clang); fuzz-replay: known ones"
	@echo "make coverage      lines and branches of data/ that the tests reach (needs gcovr)"
	@echo "make tsan          the tests that run threads, under ThreadSanitizer (needs clang)"
	@echo "make tidy          clang-tidy, for some files with FILES=\"data/zip.cpp\"; make cppcheck: cppcheck"
	@echo "make valgrind      the loaders and training steps under valgrind: a quarter of an hour"
	@echo "make cuda-compile  every kernel through nvcc (no GPU needed)"
	@echo "make fake-cuda     the GPU path on a GPU made of host memory: its tests, and every experiment"
	@echo "make hostile       every format against every damage, on a system that fails"
	@echo "make kills         runs that are killed fifty times, and resumed, end in the same bytes"
	@echo "make doctor        what is installed, what is missing, what will be slow"
	@echo "make clean         remove everything that was built"
	@echo "Options: CUDA=$(CUDA) ARCH=$(ARCH) REAL=$(REAL) SAN=$(SAN); this build goes to $(BUILD)"

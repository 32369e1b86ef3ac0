# Koine. `make deps && make && ./experiments/ae_stitch` is the whole story; `make help` lists the rest.
#
#   CUDA=0|1|fake|auto   1: kernels for GPUs, through nvcc (auto: when nvcc and a GPU are both there); fake: the GPU path
#                        through g++, run by tests/fake_cuda
#   CUDA_ARCH="75 90"    the GPUs that CUDA=1 compiles for (native: the one of this machine)
#   ARCH=native          -march= for g++              (x86-64-v3: a binary that runs under valgrind)
#   REAL=float           float | double               (double is the precision of the gradient checks)
#   SAN=0|1              AddressSanitizer and UndefinedBehaviorSanitizer
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
HOST  := build/$(REAL)-$(ARCH)$(if $(filter 1,$(SAN)),-san)
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
$(HOST)/tests/%.o: OPT := $(if $(filter 1,$(SAN)),$(subst -O1,-O0,$(OPT)),$(subst -O3,-O1,$(OPT)))
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
	@sh .ci/doctor.sh --install

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

sanitize:
	+@$(SUBMAKE) CUDA=0 SAN=1 build/float-$(ARCH)-san/koine_tests
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

bench: $(BUILD)/koine_bench
	@BENCH=$(BUILD)/koine_bench sh tests/bench/run.sh

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

# ---- fuzzing -------------------------------------------------------------------------------------------------------
# The readers of untrusted files, on damaged ones. libFuzzer is part of clang, which nothing else here needs.
SECONDS      := 60
FUZZ_CXX     := clang++
FUZZ_FLAGS   := -std=c++20 -O1 -g -fopenmp -fno-sanitize-recover=all -Wno-pass-failed
# Without word_pair.cpp, which reads nothing itself and would need LAPACK.
FUZZ_SRC     := $(filter-out data/word_pair.cpp,$(wildcard data/*.cpp)) tensor/tensor.cpp tensor/storage.cpp tensor/emulated_team.cpp
FUZZ_OBJ     := $(FUZZ_SRC:%.cpp=build/fuzz/%.o)
FUZZ_TARGETS := $(patsubst tests/fuzz/%.cpp,build/fuzz/%,$(wildcard tests/fuzz/*.cpp))
FUZZ_LIMITS  := -max_len=65536 -rss_limit_mb=1024 -timeout=5

.PHONY: fuzz fuzz-checked
fuzz: $(FUZZ_TARGETS)
	@python3 tests/fuzz/make_seeds.py build/fuzz/seeds
	@for t in $(^F); do \
	  echo "  fuzz     $$t, $(SECONDS) s"; \
	  mkdir -p build/fuzz/corpus/$$t; \
	  OMP_NUM_THREADS=1 build/fuzz/$$t $(FUZZ_LIMITS) -max_total_time=$(SECONDS) -artifact_prefix=build/fuzz/$$t- \
	    build/fuzz/corpus/$$t build/fuzz/seeds/$$t > build/fuzz/$$t.log 2>&1 || { tail -n 60 build/fuzz/$$t.log; exit 1; }; \
	  grep DONE build/fuzz/$$t.log; \
	done

$(FUZZ_TARGETS): build/fuzz/%: build/fuzz/tests/fuzz/%.o $(FUZZ_OBJ)
	@echo "  link     $@"
	@$(FUZZ_CXX) -fopenmp -fsanitize=fuzzer,address,undefined -o $@ $^ -lutf8proc -lz

build/fuzz/%.o: %.cpp | fuzz-checked
	@mkdir -p $(@D)
	@echo "  compile  $<"
	@$(FUZZ_CXX) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,address,undefined -I. -DREAL=float $(DEPFLAGS) -c $< -o $@

-include $(shell find build/fuzz -name '*.d' 2>/dev/null)

fuzz-checked:
	@echo '#include <omp.h>' | $(FUZZ_CXX) -fopenmp -fsyntax-only -x c++ - 2>/dev/null || \
	  { echo "make fuzz needs clang++ with libFuzzer and OpenMP (Debian, Ubuntu: apt install clang libomp-dev)"; exit 1; }

clean:
	rm -rf build $(PROGRAMS)

format:
	clang-format -i $$(git ls-files '*.h' '*.cpp')

help:
	@echo "make deps          install what is missing (apt, dnf or brew)"
	@echo "make               libkoine.a and the programs below experiments/"
	@echo "make test          all tests, in float64 and in float"
	@echo "make gradcheck     the gradient checks alone, one line per op"
	@echo "make check         test, sanitize and smoke"
	@echo "make sanitize      all tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make smoke         every experiment once on generated data"
	@echo "make bench         times of ops and training steps, beside PyTorch where PYTHON=... has it"
	@echo "make fuzz          damaged files for the readers, SECONDS=60 for each target (needs clang)"
	@echo "make cuda-compile  every kernel through nvcc (no GPU needed)"
	@echo "make fake-cuda     the GPU path on a GPU made of host memory: its tests, and every experiment"
	@echo "make doctor        what is installed, what is missing, what will be slow"
	@echo "make clean         remove everything that was built"
	@echo "Options: CUDA=$(CUDA) ARCH=$(ARCH) REAL=$(REAL) SAN=$(SAN); this build goes to $(BUILD)"

# PGXS build of privacy_scan. `make`, `make install`, `make installcheck` (on a running server).
EXTENSION = privacy_scan
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" privacy_scan.control)

MODULE_big = privacy_scan
SOURCES := $(sort $(wildcard src/*.cpp src/*/*.cpp))
OBJS = $(SOURCES:.cpp=.o)

PG_CONFIG ?= pg_config

# The install script: the rooms' parts in the order in which they need each other.
ROOM_SQL = \
	src/schema/schema.sql \
	src/partition/partition.sql \
	src/unique/unique.sql \
	src/retention/retention.sql \
	src/retention/hold.sql \
	src/retention/archive.sql \
	src/retention/plan.sql \
	src/archive_file/archive_file.sql \
	src/erase/erase.sql \
	src/index/index.sql \
	src/adopt/adopt.sql \
	src/split/split.sql \
	src/json/json.sql \
	src/monitor/monitor.sql \
	src/jobs/jobs.sql \
	src/worker/worker.sql \
	src/health/health.sql
INSTALL_SQL = privacy_scan--$(EXTVERSION).sql
DATA_built = $(INSTALL_SQL)

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
EXTRA_CLEAN = privacy_scan--*.sql $(SOURCES:.cpp=.d) results regression.diffs regression.out

# PostgreSQL's headers use typeof and register; only what is named PGDLLEXPORT leaves the library.
CXX_DIALECT = -std=gnu++17 -Wno-register -fvisibility=hidden -fvisibility-inlines-hidden
PG_CPPFLAGS = -Isrc -DPS_VERSION='"$(EXTVERSION)"'
PG_CXXFLAGS = $(CXX_DIALECT)
SHLIB_LINK = -lstdc++ -llz4 -lzstd -lcrypto -Wl,--version-script=src/exports.map

# PS_FAILPOINTS=1 is the build of scripts/failpoints: points at which it ends, fails or waits.
ifdef PS_FAILPOINTS
PG_CPPFLAGS += -DPS_FAILPOINTS
endif

# PS_STRICT=1 is how the tests build: a warning is an error, of g++ and of the clang that makes the bitcode. Debug
# information is what a backtrace needs: all of it is a quarter of the compiler's time.
ifdef PS_STRICT
STRICT = -Wall -Wextra -Werror
PG_CXXFLAGS += $(STRICT) -g1
# PostgreSQL's own headers have parameters that they don't use.
PG_CPPFLAGS += -isystem $(shell $(PG_CONFIG) --includedir-server)
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS gives the bitcode compiler none of PG_CXXFLAGS.
COMPILE.cxx.bc += $(CXX_DIALECT) $(STRICT)
# PGXS tracks no headers where the server was configured without --enable-depend, as Debian's is.
override CXXFLAGS += -MMD -MP
-include $(SOURCES:.cpp=.d)
# g++ and clang++ are given the same flags; each skips what only the other knows.
override CXXFLAGS += $(if $(findstring clang,$(CXX)),-Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes)

# Bitcode of an earlier build must not outlive its library: the JIT would inline it.
ifneq ($(with_llvm), yes)
install: drop-bitcode
drop-bitcode:
	rm -rf '$(DESTDIR)$(pkglibdir)/bitcode/privacy_scan' '$(DESTDIR)$(pkglibdir)/bitcode/privacy_scan.index.bc'
.PHONY: drop-bitcode
endif

$(INSTALL_SQL): privacy_scan.control src/schema/header.sql $(ROOM_SQL)
	cat src/schema/header.sql $(ROOM_SQL) > $@

// The one include of postgres.h. Standard C++ headers must come before it: it redefines printf and friends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// The library is built with -fvisibility=hidden; what PostgreSQL looks up is exported by name. Up to 15,
// postgres.h leaves this empty.
#define PGDLLEXPORT __attribute__((visibility("default")))

extern "C" {
#include <postgres.h>

#include <fmgr.h>
#include <miscadmin.h>
#if __has_include(<varatt.h>)
#include <varatt.h> // from 16 on postgres.h leaves it out
#endif
}

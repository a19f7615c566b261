#pragma once

#include "../../toy.hpp"

namespace exec {
using toy::when_any;
} // namespace exec

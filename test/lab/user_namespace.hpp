#pragma once

#include <string>

namespace lab {

/// Whether this program runs in another user namespace than the machine's first.
bool in_user_namespace();

/// Why it could not make one, to be added to another message; empty if it could or did not have to.
std::string user_namespace_obstacle();

} // namespace lab

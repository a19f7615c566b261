#pragma once

#include <array>
#include <string_view>

/// The files of the page, built into the program.
namespace live_view::page {

struct file {
    std::string_view path, type, content;
};

extern std::array<file, 3> const files;

} // namespace live_view::page

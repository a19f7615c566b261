#pragma once

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

/// What the project claims, shown one line each with the figure and who else than our own code observed it.
namespace verify {

/// The claims of a program: `int main() { return verify::claims([](verify::report& report) { ... }); }`.
class report {
public:
    /// Prints a claim; the program fails if it does not hold.
    void claim(std::string_view what, bool holds, std::string_view figure, std::string_view observer) {
        std::cout << (holds ? "holds  " : "FAILS  ") << what << ": " << figure << " (observer: " << observer << ")"
                  << std::endl;
        failed_ += !holds;
    }
    int failed() const noexcept { return failed_; }

private:
    int failed_ = 0;
};

template <class Claims>
int claims(Claims&& body) try {
    report all;
    body(all);
    return all.failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (std::exception const& error) {
    std::cout << "FAILS  " << error.what() << std::endl;
    return EXIT_FAILURE;
}

} // namespace verify

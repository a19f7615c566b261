#include "../measure.hpp"
#include "subjects.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) try {
    std::string_view const subject = argc > 1 ? argv[1] : "";
    bool agree = true;
    if (subject != "operations")
        agree = bench::measure_shards();
    if (subject != "shards")
        bench::measure_operations();
    return agree ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (std::exception const& error) {
    std::cerr << "bench.async: " << error.what() << '\n';
    return EXIT_FAILURE;
}

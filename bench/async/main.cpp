#include "../measure.hpp"
#include "subjects.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string_view>

int main(int argc, char** argv) try {
    std::string_view subject;
    bool check = false;
    for (std::string_view const argument : std::span{argv, static_cast<std::size_t>(argc)}.subspan(1))
        if (argument == "--check")
            check = true;
        else
            subject = argument;
    bench::outcome shards, operations;
    if (subject != "operations")
        shards = bench::measure_shards();
    if (subject != "shards")
        operations = bench::measure_operations();
    bool const met = !check || (shards.met && operations.met);
    return shards.right && operations.right && met ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (std::exception const& error) {
    std::cerr << "bench.async: " << error.what() << '\n';
    return EXIT_FAILURE;
}

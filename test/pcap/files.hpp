#pragma once

#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace netring_asio {
inline std::ostream& boost_test_print_type(std::ostream& out, error value) {
    return out << make_error_code(value).message();
}
} // namespace netring_asio

/// Capture files for tests: the shared traces, files made byte by byte, and what outside programs say of them.
namespace files {

namespace fs = std::filesystem;

/// Where the shared traces are, unless NETRING_ASIO_TRACES says otherwise.
inline fs::path traces_folder() {
    char const* const elsewhere = std::getenv("NETRING_ASIO_TRACES");
    return elsewhere != nullptr ? elsewhere : NETRING_ASIO_TRACES_DIR;
}

/// Skips a test case where the shared traces are not there.
inline boost::unit_test::decorator::precondition has_traces() {
    return boost::unit_test::decorator::precondition{[](boost::unit_test::test_unit_id) {
        boost::test_tools::assertion_result result{fs::exists(traces_folder() / "index.csv")};
        result.message() << "no traces at " << traces_folder() << "; set NETRING_ASIO_TRACES";
        return result;
    }};
}

/// A row of the traces' index.
struct trace {
    fs::path path;
    std::size_t packets = 0;
};

inline std::vector<trace> traces() {
    std::ifstream index{traces_folder() / "index.csv"};
    std::vector<trace> result;
    std::string line;
    for (std::getline(index, line); std::getline(index, line);) {
        std::vector<std::string> fields(1);
        bool quoted = false;
        for (char const c : line)
            if (c == '"')
                quoted = !quoted;
            else if (c == ',' && !quoted)
                fields.emplace_back();
            else
                fields.back() += c;
        result.push_back({traces_folder() / fields.at(1) / fields.at(2), std::stoul(fields.at(7))});
    }
    return result;
}

/// A folder that is removed with everything in it.
class temporary_folder {
public:
    temporary_folder() {
        auto pattern = (fs::temp_directory_path() / "netring_asio.XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error{"mkdtemp"};
        path_ = pattern;
    }
    ~temporary_folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    temporary_folder(temporary_folder const&) = delete;
    temporary_folder& operator=(temporary_folder const&) = delete;
    fs::path operator/(std::string_view name) const { return path_ / name; }
    fs::path const& path() const noexcept { return path_; }

private:
    fs::path path_;
};

inline std::string read(fs::path const& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

inline fs::path write(fs::path path, std::string_view bytes) {
    std::ofstream out{path, std::ios::binary};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
}

/// What a shell command prints on standard output, line by line.
inline std::vector<std::string> lines_of(std::string const& command) {
    std::FILE* const pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
    if (pipe == nullptr)
        throw std::runtime_error{command};
    std::string text;
    std::array<char, 65536> part;
    for (std::size_t size = 0; (size = std::fread(part.data(), 1, part.size(), pipe)) != 0;)
        text.append(part.data(), size);
    if (::pclose(pipe) != 0)
        throw std::runtime_error{command + ": failed"};
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

/// Fields of each packet as tshark sees them, a line a packet, separated by blanks.
inline std::vector<std::string> tshark(fs::path const& file, std::vector<std::string> const& fields) {
    std::string command = "tshark -n -r '" + file.string() + "' -T fields -E separator=/s -E occurrence=a";
    for (auto const& field : fields)
        command += " -e " + field;
    return lines_of(command);
}

/// A number as bytes.
inline std::string number(std::uint64_t value, std::size_t size, bool big_endian = false) {
    std::string bytes;
    for (std::size_t i = 0; i != size; ++i)
        bytes += static_cast<char>(value >> 8 * (big_endian ? size - 1 - i : i));
    return bytes;
}

/// A classic pcap file, built by hand.
struct classic {
    std::uint32_t magic = 0xa1b2c3d4;
    std::uint32_t link = 1;
    bool big_endian = false;
    std::uint32_t snap_length = 262144;

    std::string header() const { return n(magic, 4) + n(2, 2) + n(4, 2) + n(0, 8) + n(snap_length, 4) + n(link, 4); }
    std::string packet(std::uint32_t seconds, std::uint32_t fraction, std::string_view data,
                       std::uint32_t wire_length = 0) const {
        return n(seconds, 4) + n(fraction, 4) + n(data.size(), 4) + n(wire_length != 0 ? wire_length : data.size(), 4) +
               std::string{data};
    }

private:
    std::string n(std::uint64_t value, std::size_t size) const { return number(value, size, big_endian); }
};

/// A block of a pcapng file, built by hand.
inline std::string block(std::uint32_t type, std::string body, bool big_endian = false) {
    body.resize((body.size() + 3) / 4 * 4);
    auto const length = number(body.size() + 12, 4, big_endian);
    return number(type, 4, big_endian) + length + body + length;
}

/// A time as tshark prints it.
inline std::string epoch(netring_asio::timestamp time) {
    std::array<char, 40> text;
    auto const count = time.time_since_epoch().count();
    std::snprintf(text.data(), text.size(), "%lld.%09lld", static_cast<long long>(count / 1'000'000'000),
                  static_cast<long long>(count % 1'000'000'000));
    return text.data();
}

inline std::string text(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

} // namespace files

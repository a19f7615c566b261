#pragma once

#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

/// Both ends of a pipe; the source gets the reading one.
struct pipe_ends {
    pipe_ends() {
        if (::pipe2(ends, O_CLOEXEC) != 0)
            throw std::runtime_error{"pipe2"};
    }
    ~pipe_ends() { close(); }
    void close() {
        if (ends[1] >= 0)
            ::close(ends[1]);
        ends[1] = -1;
    }
    void send(std::string const& bytes) { // on any thread, where Boost.Test's checks are not safe
        if (::write(ends[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
            throw std::runtime_error{"write"};
    }
    int ends[2];
};

// An HTTP/1.1 server on a free port of 127.0.0.1, that misbehaves in the ways that servers have.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tensor/error.h"
#include "tests/scratch.h"

namespace koine::testing {

struct HttpRequest {
    std::string path;  ///< behind "http://HOST:PORT/"
    std::string text;  ///< the whole request, for its headers
    bool is_head = false;
};

struct HttpAnswer {
    int status = 200;
    std::vector<std::string> headers = {};  ///< "Name: value"
    Bytes body = {};
    bool takes_ranges = true;
    bool is_silent = false;       ///< accepts, and says nothing
    size_t n_sent = SIZE_MAX;     ///< sends so many bytes of the body
    bool stalls = false;          ///< and then waits instead of hanging up
    int delay_ms = 0;             ///< before the body
    size_t n_at_once = SIZE_MAX;  ///< bytes every tenth of a second
    bool states_size = true;      ///< says how long the body is
};

class HttpServer {
public:
    /// `handler_` is called by several threads.
    explicit HttpServer(std::function<HttpAnswer(const HttpRequest&)> handler_) : handler(std::move(handler_)) {
        listener = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 16) != 0 ||
            getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw Error("the test server does not start");
        }
        url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
        accepter = std::thread([this] { accept_all(); });
    }
    ~HttpServer() {
        stops = true;
        accepter.join();
        for (std::thread& thread : threads) thread.join();
        close(listener);
    }

    /// "good/sub/large.bin 60000": path, and where the transfer was to begin; "HEAD good/small.bin".
    std::vector<std::string> requests() {
        const std::lock_guard lock(mutex);
        return log;
    }

    std::string url;

private:
    void accept_all() {
        while (!stops) {
            pollfd waiting{listener, POLLIN, 0};
            if (poll(&waiting, 1, 20) <= 0) continue;
            const int client = accept(listener, nullptr, nullptr);
            if (client >= 0) {
                threads.emplace_back([this, client] {
                    answer(client);
                    shutdown(client, SHUT_RDWR);
                    close(client);
                });
            }
        }
    }

    // One request a connection.
    void answer(int client) {
        HttpRequest request;
        char piece[4096];
        while (request.text.find("\r\n\r\n") == std::string::npos) {
            const ssize_t n = recv(client, piece, sizeof piece, 0);
            if (n <= 0) return;
            request.text.append(piece, size_t(n));
        }
        request.is_head = request.text.starts_with("HEAD ");
        const size_t slash = request.text.find('/');  // "GET /path HTTP/1.1"
        request.path = request.text.substr(slash + 1, request.text.find(' ', slash) - slash - 1);
        const size_t range = request.text.find("Range: bytes=");
        const size_t begin = range == std::string::npos ? 0 : std::stoul(request.text.substr(range + 13));
        {
            const std::lock_guard lock(mutex);
            log.push_back(request.is_head ? "HEAD " + request.path : request.path + " " + std::to_string(begin));
        }
        const HttpAnswer a = handler(request);
        if (a.is_silent) return wait(client);
        const size_t size = a.body.size();
        std::string text;
        for (const std::string& header : a.headers) text += header + "\r\n";
        if (a.status != 200) {
            return send_text(client,
                             "HTTP/1.1 " + std::to_string(a.status) + " No\r\n" + text + "Content-Length: 0\r\n\r\n");
        }
        const size_t from = a.takes_ranges ? begin : 0;
        if (from > 0 && from >= size) {
            return send_text(client, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n");
        }
        if (from > 0) {
            text += "Content-Range: bytes " + std::to_string(from) + "-" + std::to_string(size - 1) + "/" +
                    std::to_string(size) + "\r\n";
        }
        if (a.states_size) text += "Content-Length: " + std::to_string(size - from) + "\r\n";
        send_text(client, (from > 0 ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n") + text + "\r\n");
        if (request.is_head) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(a.delay_ms));
        const size_t end = from + std::min(size - from, a.n_sent);
        for (size_t at = from; at < end && !stops;) {
            if (a.n_at_once != SIZE_MAX) std::this_thread::sleep_for(std::chrono::milliseconds(100));
            const size_t next = at + std::min(end - at, a.n_at_once);
            send_text(client, std::string(a.body.begin() + std::ptrdiff_t(at), a.body.begin() + std::ptrdiff_t(next)));
            at = next;
        }
        if (a.stalls) wait(client);
    }

    static void send_text(int client, const std::string& text) {
        for (size_t sent = 0; sent < text.size();) {
            const ssize_t n = send(client, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return;
            sent += size_t(n);
        }
    }

    /// Says nothing until the client hangs up.
    void wait(int client) {
        char byte;
        while (!stops) {
            pollfd waiting{client, POLLIN, 0};
            if (poll(&waiting, 1, 20) > 0 && recv(client, &byte, 1, 0) <= 0) return;
        }
    }

    std::function<HttpAnswer(const HttpRequest&)> handler;
    int listener;
    std::atomic<bool> stops = false;
    std::thread accepter;
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::vector<std::string> log;
};

}  // namespace koine::testing

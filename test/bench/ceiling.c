/*
 * ceiling.c
 *		How many requests a second libcurl makes by itself: the ceiling of the webhook sender.
 *
 *	ceiling URL REQUESTS IN_FLIGHT FILE		posts the file's content so many times
 *
 * The same interface, options and headers as the sender; no database.  Prints requests a second.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t
ignore(char *data, size_t size, size_t n, void *user)
{
	(void) data;
	(void) user;
	return size * n;
}

static void
start(CURLM *multi, CURL *easy, const char *url, const char *body, struct curl_slist *headers)
{
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
	curl_multi_add_handle(multi, easy);
}

int
main(int argc, char **argv)
{
	static char body[65536];
	struct timespec begin;
	struct timespec end;
	struct curl_slist *headers = NULL;
	CURLM	   *multi;
	FILE	   *file;
	int			requests = argc == 5 ? atoi(argv[2]) : 0;
	int			in_flight = argc == 5 ? atoi(argv[3]) : 0;
	int			started = 0;
	int			done = 0;
	int			failed = 0;

	if (argc != 5 || (file = fopen(argv[4], "r")) == NULL || fread(body, 1, sizeof(body) - 1, file) == 0)
	{
		fprintf(stderr, "usage: ceiling URL REQUESTS IN_FLIGHT FILE\n");
		return 2;
	}
	curl_global_init(CURL_GLOBAL_ALL);
	multi = curl_multi_init();
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, "webhook-id: 01a2130d-95a7-75f7-b64a-e9e41c3c6a7a");
	headers = curl_slist_append(headers, "webhook-timestamp: 1795615953");
	headers = curl_slist_append(headers, "webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (; started < in_flight && started < requests; started++)
		start(multi, curl_easy_init(), argv[1], body, headers);
	while (done < requests)
	{
		CURLMsg    *message;
		int			n;

		curl_multi_perform(multi, &n);
		while ((message = curl_multi_info_read(multi, &n)) != NULL)
		{
			CURL	   *easy = message->easy_handle;

			if (message->msg != CURLMSG_DONE)
				continue;
			failed += message->data.result != CURLE_OK;
			done++;
			curl_multi_remove_handle(multi, easy);
			if (started < requests)
			{
				start(multi, easy, argv[1], body, headers);
				started++;
			}
		}
		if (done < requests)
			curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", requests / ((end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9));
	return failed > 0;
}

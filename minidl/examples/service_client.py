"""Document 004's client: it sends a picture to the service with a key, and prints labels and confidences.

python -m minidl.examples.service_client ADDRESS KEY PICTURE...
"""

import sys

import requests

from minidl.serve import preprocess_image


def classify(address: str, key: str, picture: str) -> None:
    """Ask what a picture shows, and print the classes, the most likely first."""
    reply = requests.post(
        address,
        json={"image": preprocess_image(picture)},  # nested lists: (28, 28), from 0 to 1
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
    )
    reply.raise_for_status()
    answer = reply.json()
    for label, confidence in zip(answer["labels"], answer["confidences"], strict=True):
        print(f"{label}: {confidence}")


if __name__ == "__main__":
    address, key, *pictures = sys.argv[1:]
    for picture in pictures:
        classify(address, key, picture)

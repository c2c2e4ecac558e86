"""Document 004's client: it sends a picture to the service with a key, and prints labels and confidences.

    python -m minidl.examples.service_client ADDRESS KEY PICTURE...

Between the lines the listing is the document's, with what it leaves out: which image, and what ``preprocess_image`` is.
"""

import sys

import requests

from minidl.serve import preprocess_image


def classify(api_endpoint: str, api_key: str, image: str) -> None:
    """Ask what a picture shows, and print it."""
    # ---- 对图像进行预处理: preprocess the image
    preprocessed_image = preprocess_image(image)

    # 发送请求到API: send the request
    response = requests.post(
        api_endpoint, json={"image": preprocessed_image}, headers={"Authorization": "Bearer " + api_key}
    )

    # 获取结果: get the result
    result = response.json()

    # 解析结果: read it
    labels = result["labels"]
    confidences = result["confidences"]

    # 输出结果: print it
    for label, confidence in zip(labels, confidences):  # noqa: B905
        print(f"{label}: {confidence}")
    # ----


if __name__ == "__main__":
    endpoint, key, *pictures = sys.argv[1:]
    for picture in pictures:
        classify(endpoint, key, picture)
